"""The cache of compiled graphs: it saves time and changes nothing, whatever becomes of its files."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import mindspore as ms
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.cpu import compile_cache
from src.cpu.compile_cache import ENTRIES, CompileCache, graph_key, source_digest
from src.cpu.own_files import cache_folder
from src.model_utils.config import parse_config
from tests.helpers.compile_cache import ENABLE, GRAPH, KEY, PATH, compile_with, graph
from tests.helpers.training_run import losses, options, run

# What the graph of training does not follow from.
FREE = {
    "train_data_dir", "test_data_dir", "save_checkpoint_path", "pretrained", "resume", "checkpoint_path", "onnx_path",
    "class_map", "eval_report", "ckpt_file", "file_name", "data_url", "train_url", "checkpoint_url", "data_path",
    "output_path", "load_path", "modelarts_dataset_unzip_name", "folder_name_under_zip_file", "compile_cache",
    "log_steps", "debug",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained_again(trained, few_digits, tmp_path_factory):
    """The same training with the graph that the first one has kept: its folder and its output."""
    cwd = tmp_path_factory.mktemp("again")
    graphs = trained[0].parents[1] / "graphs"
    words = options(few_digits, Path("out"), "--eval_while_train=True", f"--compile_cache={graphs}")
    result = run("train.py", words, cwd)
    assert result.returncode == 0, result.stderr
    return cwd / "out" / "model_0", result


def test_a_second_training_takes_the_graph_and_gives_the_same_losses_weights_and_accuracy(trained, trained_again):
    folder, first = trained
    again, second = trained_again
    assert "the compiled graph comes from" not in first.stdout
    assert f"the compiled graph comes from {next((folder.parents[1] / 'graphs').iterdir())}" in second.stdout
    assert losses(second.stdout) == losses(first.stdout)
    results = [[line for line in run.stdout.splitlines() if line.startswith("result:")] for run in (first, second)]
    assert results[0] == results[1]
    for path in folder.glob("*.ckpt"):
        assert (again / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["trained", "trained_again"])
def test_a_training_prints_no_warning_and_loses_no_update_of_the_moving_statistics(request, name):
    folder, result = request.getfixturevalue(name)
    assert "WARNING" not in result.stderr + result.stdout
    initial = {"moving_mean": 0.0, "moving_variance": 1.0}
    one, two = (ms.load_checkpoint(str(path)) for path in sorted(folder.glob("Xception-rank0-*.ckpt")))
    statistics = [parameter for parameter in one if parameter.rpartition(".")[2] in initial]
    assert len(statistics) == 80
    for parameter in statistics:
        after_one, after_two = one[parameter].asnumpy(), two[parameter].asnumpy()
        assert (after_one != initial[parameter.rpartition(".")[2]]).any(), parameter
        assert (after_two != after_one).any(), parameter


# What a graph is found by


def test_every_option_but_paths_and_messages_makes_another_graph():
    config = parse_config([], lambda _: "CPU")
    base = graph_key(config, [])
    same = set()
    for name, value in config.to_dict().items():
        other = not value if isinstance(value, bool) else value + (1 if isinstance(value, int | float) else "x")
        if graph_key(config.replace(**{name: other}), []) == base:
            same.add(name)
    assert same == FREE


def test_facts_and_compiler_switches_make_another_graph(monkeypatch):
    config = parse_config([], lambda _: "CPU")
    keys = {graph_key(config, facts) for facts in ([], [100], [101], [100, True], [100, False], [100, True, "same"])}
    monkeypatch.setenv("MS_JIT", "0")
    keys.add(graph_key(config, []))
    assert len(keys) == 7


def test_every_source_file_counts(monkeypatch, tmp_path):
    (tmp_path / "src" / "deep").mkdir(parents=True)
    monkeypatch.setattr(compile_cache, "DEFAULT_FILE", tmp_path / "default_config.yaml")
    digests = {source_digest()}
    for name, text in (("train.py", "a"), ("src/net.py", "a"), ("src/deep/net.py", "a"), ("src/net.py", "b")):
        (tmp_path / name).write_text(text)
        digests.add(source_digest())
    (tmp_path / "src" / "net.py").rename(tmp_path / "src" / "loss.py")
    digests.add(source_digest())
    assert len(digests) == 6


# Where graphs are kept


def test_auto_is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / "mindspore-xception"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / ".cache" / "mindspore-xception"
    for nothing in ("none", "", " "):
        assert cache_folder(nothing) is None
    assert parse_config(["--compile_cache="], lambda _: "CPU").compile_cache == ""
    monkeypatch.chdir(tmp_path)
    assert cache_folder("graphs") == tmp_path / "graphs"


def test_the_graph_that_was_compiled_is_found_again_under_its_own_key_only(tmp_path):
    assert compile_with(tmp_path / "new" / "cache", graph("a")) is None
    assert compile_with(tmp_path / "new" / "cache", graph("b")) == graph("a")
    assert compile_with(tmp_path / "new" / "cache", graph("b"), key="1" * 64) is None
    assert all(path.suffix == ".graph" for path in (tmp_path / "new" / "cache").iterdir())


def test_a_graph_under_the_name_of_another_one_is_not_taken(tmp_path):
    compile_with(tmp_path, graph("a"))
    shutil.copy(tmp_path / f"{KEY}.graph", tmp_path / f"{'1' * 64}.graph")
    assert compile_with(tmp_path, graph("b"), key="1" * 64) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1, exclude_max=True), flip=st.booleans(), bit=st.integers(0, 7))
def test_a_cut_or_changed_graph_is_compiled_anew_and_replaced(tmp_path_factory, cut, flip, bit):
    folder = tmp_path_factory.mktemp("cache")
    compile_with(folder, graph("a"))
    entry = folder / f"{KEY}.graph"
    data = bytearray(entry.read_bytes())
    place = int(cut * len(data))
    if flip:
        data[place] ^= 1 << bit
    else:
        del data[place:]
    entry.write_bytes(data)
    assert compile_with(folder, graph("b")) is None
    assert compile_with(folder, graph("c")) == graph("b")


def test_a_graph_that_mindspore_could_not_write_whole_is_not_kept(tmp_path):
    for half in (graph("a long name")[:-3], b""):
        compile_with(tmp_path, half)
        assert list(tmp_path.iterdir()) == []


def test_source_that_changes_while_it_is_compiled_keeps_nothing(monkeypatch, tmp_path):
    digests = iter(["before", "after"])
    monkeypatch.setattr(compile_cache, "source_digest", lambda: next(digests))
    compile_with(tmp_path, graph())
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_or_fails_leaves_nothing_that_counts(tmp_path):
    killed, failed = CompileCache(tmp_path, KEY), CompileCache(tmp_path, KEY)
    for cache in (killed, failed):
        cache.open()
        path = Path(os.environ.pop(PATH)) / GRAPH
        path.parent.mkdir(parents=True)
        path.write_bytes(graph("half"))
        del os.environ[ENABLE]
    failed.discard()
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    assert compile_with(tmp_path, graph("whole")) is None
    assert left[0].exists()  # it may be at work
    os.utime(left[0], (0, time.time() - 2 * 24 * 60 * 60))
    assert compile_with(tmp_path, graph("other")) == graph("whole")
    assert not left[0].exists()


def test_the_graphs_used_last_are_kept(tmp_path):
    keys = [f"{number:064}" for number in range(ENTRIES)]
    for age, key in enumerate(keys):
        compile_with(tmp_path, graph(), key)
        os.utime(tmp_path / f"{key}.graph", (0, time.time() - 1000 - age))
    assert compile_with(tmp_path, graph(), keys[-1]) is not None
    compile_with(tmp_path, graph(), KEY.replace("0", "f"))
    kept = {path.stem for path in tmp_path.iterdir()}
    assert kept == {*keys, KEY.replace("0", "f")} - {keys[-2]}


def test_a_clock_that_was_set_back_costs_nobody_the_graph_just_used(tmp_path):
    for number in range(ENTRIES):
        compile_with(tmp_path, graph(), f"{number:064}")
        os.utime(tmp_path / f"{number:064}.graph", (0, time.time() + 100000 + number))
    own = KEY.replace("0", "f")
    for _ in range(2):
        compile_with(tmp_path, graph(), own)
        assert len(list(tmp_path.iterdir())) == ENTRIES
    assert compile_with(tmp_path, graph(), own) is not None
    assert not (tmp_path / f"{ENTRIES - 1:064}.graph").exists()  # the furthest from now


# Where there is no cache


def test_a_folder_that_cannot_be_used_costs_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    cache = CompileCache(tmp_path / "file" / "cache", KEY)
    cache.open()
    assert ENABLE not in os.environ
    cache.close()
    output = capsys.readouterr().out
    assert output.count("\n") == 1 and f"Not a directory: {tmp_path / 'file' / 'cache'}" in output


@pytest.mark.parametrize("name", ["-c", "", "-m"])
def test_without_a_program_file_there_is_no_cache(monkeypatch, tmp_path, name):
    monkeypatch.setattr(sys, "argv", [name])
    CompileCache(tmp_path, KEY).open()
    assert ENABLE not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_setting_of_mindspores_cache_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(ENABLE, "1")
    cache = CompileCache(tmp_path / "cache", KEY)
    cache.open()
    cache.close()
    assert os.environ[ENABLE] == "1" and PATH not in os.environ and not (tmp_path / "cache").exists()
