"""ModelArts: copies in and out around a run, once a server, with several real processes, faults and kills."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.common.files import atomic_write
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.moxing_adapter import job_name, local_config
from src.modelarts.filled_folder import MARK
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

STAND_IN = ROOT / "tests" / "helpers" / "stand_in"
# A run: it tells that it has begun, goes on when it may, writes a result and ends as it is told.
CHILD = """
import json, os, sys, time
from pathlib import Path
from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.model_utils.moxing_adapter import moxing_wrapper
assert "mindspore" not in sys.modules
options, ending, wait_limit, bench = json.loads(sys.argv[1])
def run(config):
    print("data:", sorted(os.listdir(config.train_data_dir)), flush=True)
    (Path(bench) / f"begun-{os.getpid()}").touch()
    while (Path(bench) / "hold").exists() and not ending:
        time.sleep(0.02)
    folder = Path(config.save_checkpoint_path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"result-{os.getpid()}").write_text("trained")
    if ending:
        exec(ending)
    return 7
assert run.__name__ == moxing_wrapper(run).__name__
sys.exit(run_command(lambda argv: moxing_wrapper(run, wait_limit)(parse_config(argv, lambda device: device)), options))
"""
FORK = """
    if "MOXING_FORKS" in os.environ and not os.fork():
        time.sleep(60)
        os._exit(0)
"""


class Bench:
    """A bucket, a server's folders, and the processes of jobs on it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bucket = folder / "bucket"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        for name in ("data", "checkpoints", "results"):
            (self.bucket / name).mkdir(parents=True)
        for number in range(6):
            (self.bucket / "data" / f"{number}.jpg").write_text(str(number))
        (self.bucket / "checkpoints" / "a.ckpt").write_text("weights")
        self.started: list[subprocess.Popen] = []

    def options(self, **changes: object) -> list[str]:
        values = {
            "enable_modelarts": True, "device_target": "CPU", "data_url": "obs://data", "train_url": "obs://results",
            "checkpoint_url": "obs://checkpoints", "data_path": self.folder / "cache/data",
            "output_path": self.folder / "cache/train", "load_path": self.folder / "cache/load",
        }  # fmt: skip
        return [f"--{key}={value}" for key, value in (values | changes).items()]

    def environment(self, **variables: str) -> dict[str, str]:
        path = os.pathsep.join([str(STAND_IN), str(ROOT)])
        shared = {"PYTHONPATH": path, "MOXING_ROOT": str(self.bucket), "TMPDIR": str(self.temporary)}
        return {**os.environ, **shared, **variables}

    def start(
        self, options: list[str] | None = None, ending: str = "", wait_limit: float = 60, **variables: str
    ) -> subprocess.Popen:
        arguments = json.dumps([options or self.options(), ending, wait_limit, str(self.folder)])
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, arguments], env=self.environment(**variables), cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def calls(self, kind: str = "") -> list[str]:
        """Return the copies that were begun: all of them, those `in` or those `out`."""
        path = self.bucket / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not kind or (line.split()[1].startswith("obs:") == (kind == "in"))]

    def copier(self, copies: int = 1) -> int:
        """Wait until so many copies have begun; return the process of the last."""
        until(lambda: len(self.calls()) >= copies)
        return int(self.calls()[-1].split()[0])

    def begun(self) -> int:
        return len(list(self.folder.glob("begun-*")))

    def set(self, name: str, text: str = "") -> Path:
        path = (self.folder if name == "hold" else self.bucket) / name
        path.write_text(text)
        return path

    def locks(self) -> list[str]:
        return os.listdir(self.temporary)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the limit only keeps a broken program from hanging the tests."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def waiting(processes: list[subprocess.Popen]) -> None:
    """Wait until the processes are waiting for the lock: their first line on stderr says so."""
    for process in processes:
        assert process.stderr.readline().startswith("waiting for process ")


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != MARK)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path / "a bench")
    yield bench
    for process in bench.started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


# One process


def test_with_modelarts_off_the_function_is_called_and_nothing_else_happens(bench, tmp_path):
    (tmp_path / "images").mkdir()
    options = bench.options(enable_modelarts=False, train_data_dir=tmp_path / "images", save_checkpoint_path=tmp_path)
    status, output, errors = finish(bench.start(options, PYTHONPATH=str(ROOT)))
    assert (status, output, errors) == (7, "data: []\n", "")
    assert bench.calls() == [] and bench.locks() == [] and not (bench.folder / "cache").exists()


def test_a_run_finds_data_checkpoints_and_earlier_results_and_its_own_are_copied_out(bench):
    (bench.bucket / "results" / "earlier.ckpt").write_text("earlier")
    status, output, errors = finish(bench.start())
    assert (status, errors) == (7, "")
    assert f"data: {sorted([MARK, *(f'{number}.jpg' for number in range(6))])}" in output
    cache = bench.folder / "cache"
    assert (cache / "load" / "a.ckpt").read_text() == "weights"
    results = content(bench.bucket / "results")
    assert len(results) == 2 and "earlier.ckpt" in results and any("cpu-ckpt/result-" in name for name in results)
    assert content(cache / "train") == results
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1
    assert bench.locks() == []
    assert {path.name for path in cache.iterdir()} == {"data", "load", "train", ".train.uploaded"}


def test_empty_addresses_are_skipped(bench):
    (bench.folder / "cache/data").mkdir(parents=True)
    status, output, errors = finish(bench.start(bench.options(data_url="", train_url="", checkpoint_url="")))
    assert (status, errors) == (7, "") and output == "data: []\n"
    assert bench.calls() == []


def test_a_result_address_that_is_not_there_yet_is_a_first_run(bench):
    (bench.bucket / "results").rmdir()
    assert finish(bench.start())[0] == 7
    assert len(content(bench.bucket / "results")) == 1


@pytest.mark.parametrize("key", ["data_url", "checkpoint_url"])
def test_an_address_without_files_is_named(bench, key):
    (bench.bucket / "empty").mkdir()
    status, _, errors = finish(bench.start(bench.options(**{key: "obs://empty"})))
    assert (status, errors) == (1, f"error: {key} obs://empty is empty: check the address\n")


def test_without_moxing_one_line_says_where_it_exists(bench):
    status, _, errors = finish(bench.start(PYTHONPATH=str(ROOT)))
    assert status == 2
    assert errors == (
        "error: enable_modelarts is true, but the Python module moxing is not there: only the images of Huawei "
        "ModelArts have it; elsewhere set enable_modelarts false and give local folders\n"
    )


def test_a_folder_of_others_is_not_touched(bench):
    mine = bench.folder / "cache/data/mine"
    atomic_write(mine, "x")
    status, _, errors = finish(bench.start())
    assert status == 1 and f"{mine.parent} holds files that were not copied there" in errors
    assert os.listdir(mine.parent) == ["mine"] and bench.calls() == []


def test_a_second_run_copies_nothing_in_again_and_other_data_are_not_mixed_in(bench):
    assert finish(bench.start())[0] == finish(bench.start())[0] == 7
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 2
    assert len(content(bench.bucket / "results")) == 2
    status, _, errors = finish(bench.start(bench.options(data_url="obs://checkpoints")))
    assert status == 1 and "data holds the content of obs://data, so obs://checkpoints cannot go there" in errors


def test_a_server_that_wrote_nothing_copies_nothing_out(bench):
    """With several servers, its older copy of the results would replace the newer ones of the first server."""
    (bench.bucket / "results" / "metrics.csv").write_text("old")
    process = bench.start(ending="import shutil; shutil.rmtree(folder)")
    assert finish(process)[0] == 7
    assert bench.calls("out") == []


# Failures


@pytest.mark.parametrize(
    ("ending", "status", "line"),
    [
        ("raise ValueError('the loss is NaN')", 1, "error: the loss is NaN\n"),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        ("sys.exit(143)", 143, ""),
    ],
)
def test_results_are_copied_out_however_the_run_ends(bench, ending, status, line):
    found, _, errors = finish(bench.start(ending=ending))
    assert (found, errors) == (status, line)
    assert len(content(bench.bucket / "results")) == 1
    assert bench.locks() == []


def test_a_failing_copy_out_does_not_hide_why_the_run_failed(bench):
    bench.set("fail-out", "the bucket is full")
    status, _, errors = finish(bench.start(ending="raise ValueError('the loss is NaN')"))
    assert status == 1
    first, second = errors.splitlines()
    assert re.fullmatch(
        r"error: cannot copy .*train to obs://results: \w+: the bucket is full; the results are in .*train only",
        first,
    )
    assert second == "error: the loss is NaN"


def test_a_failing_copy_out_after_success_is_an_error_and_is_made_up_for_later(bench):
    fault = bench.set("fail-out", "the bucket is full")
    status, _, errors = finish(bench.start())
    assert status == 1 and errors.count("\n") == 1 and "obs://results: RuntimeError: the bucket is full" in errors
    assert len(content(bench.folder / "cache/train")) == 1 and bench.locks() == []
    fault.unlink()
    assert finish(bench.start(ending="os.remove(folder / f'result-{os.getpid()}')"))[0] == 7
    assert len(content(bench.bucket / "results")) == 1


def test_a_failing_copy_in_leaves_nothing_and_the_next_start_works(bench):
    fault = bench.set("fail-in", "no access")
    status, _, errors = finish(bench.start())
    assert status == 1
    assert errors == f"error: cannot copy obs://data to {bench.folder / 'cache/data'}: RuntimeError: no access\n"
    assert os.listdir(bench.folder / "cache") == [] and bench.locks() == []
    fault.unlink()
    assert finish(bench.start())[0] == 7


# Several processes


def test_of_four_processes_one_copies_in_and_one_copies_out(bench):
    slow, hold = bench.set("slow"), bench.set("hold")
    processes = [bench.start() for _ in range(4)]
    copier = bench.copier()
    waiting([process for process in processes if process.pid != copier])
    slow.unlink()
    until(lambda: bench.begun() == 4)
    hold.unlink()
    assert [finish(process)[0] for process in processes] == [7] * 4
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1
    assert len(content(bench.bucket / "results")) == 4
    assert bench.locks() == []


def test_who_waits_is_told_for_whom(bench):
    bench.set("slow")
    copying = bench.start(JOB_ID="job/17")
    bench.copier()
    line = bench.start(JOB_ID="job/17").stderr.readline()
    pattern = (
        rf"waiting for process {copying.pid} of job job-17-\w{{16}} on \S+, which copies the data since [\d :-]+\n"
    )
    assert re.fullmatch(pattern, line)


def test_a_failed_copier_fails_those_who_wait_with_its_error(bench):
    slow = bench.set("slow")
    bench.set("fail-in", "no access")
    processes = [bench.start() for _ in range(4)]
    copier = bench.copier()
    waiting([process for process in processes if process.pid != copier])
    slow.unlink()
    outcomes = {process.pid: finish(process) for process in processes}
    assert [status for status, _, _ in outcomes.values()] == [1] * 4
    assert outcomes.pop(copier)[2].startswith("error: cannot copy obs://data to ")
    for _, _, errors in outcomes.values():
        assert errors.startswith(f"error: failed in process {copier} of job ")
        assert errors.endswith(": RuntimeError: no access\n")
    assert len(bench.calls()) == 1 and bench.locks() == []
    (bench.bucket / "fail-in").unlink()
    assert finish(bench.start())[0] == 7


def test_when_the_copier_is_killed_one_of_those_who_wait_takes_over(bench):
    """Killed in the middle of a copy, five times, the last one with nobody left."""
    slow = bench.set("slow")
    processes = [bench.start() for _ in range(5)]
    left = {process.pid: process for process in processes}
    for killed in range(1, 6):
        victim = bench.copier(killed)
        os.kill(victim, signal.SIGKILL)
        assert left.pop(victim).wait() == -signal.SIGKILL
        assert not (bench.folder / "cache/data").exists()
    assert len(bench.calls()) == 5 and len(bench.locks()) == 1
    slow.unlink()
    assert finish(bench.start())[0] == 7
    assert len(content(bench.folder / "cache/data")) == 6
    assert [name for name in os.listdir(bench.folder / "cache") if name.startswith(".data")] == []
    assert bench.locks() == []


def test_what_a_dead_job_left_in_its_lock_file_does_not_stop_the_next(bench):
    name = job_name(parse_config(bench.options(), lambda _: "CPU"))
    for text in ("failed in process 1 of this job: no access", "process 1, which copies the data", "\udcff"):
        (bench.temporary / f"xception-{name}.lock").write_text(text, errors="surrogateescape")
        assert finish(bench.start())[0] == 7
        assert bench.locks() == []


def test_children_of_a_killed_copier_do_not_hold_its_lock(bench):
    """moxing copies with processes of its own, which may outlive a killed parent."""
    slow = bench.set("slow")
    package = shutil.copytree(STAND_IN, bench.folder / "forking")
    path = package / "moxing" / "file.py"
    path.write_text(path.read_text().replace("    fault =", FORK + "    fault ="))
    python_path = os.pathsep.join([str(package), str(ROOT)])
    victim = bench.start(PYTHONPATH=python_path, MOXING_FORKS="1")
    bench.copier()
    children = Path(f"/proc/{victim.pid}/task/{victim.pid}/children")
    until(lambda: children.read_text().strip() != "")
    child = int(children.read_text())
    try:
        victim.kill()
        slow.unlink()
        process = bench.start()
        assert process.wait(timeout=60) == 7
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_who_is_interrupted_while_waiting_ends_at_once(bench):
    slow = bench.set("slow")
    copying = bench.start()
    bench.copier()
    other = bench.start()
    waiting([other])
    other.send_signal(signal.SIGINT)
    assert finish(other)[::2] == (130, "interrupted\n") and copying.poll() is None
    slow.unlink()
    assert finish(copying)[0] == 7
    assert bench.locks() == []


def test_a_wait_has_a_limit_that_names_owner_and_lock(bench):
    bench.set("slow")
    copying = bench.start()
    bench.copier()
    status, _, errors = finish(bench.start(wait_limit=0.3))
    assert status == 1
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: waited 0.3 s for process {copying.pid} of job local-")
    assert f"(lock file {bench.temporary}/xception-local-" in last
    (bench.bucket / "slow").unlink()
    assert finish(copying)[0] == 7


def test_a_process_that_fails_copies_out_at_once_and_the_last_one_the_rest(bench):
    hold = bench.set("hold")
    other = bench.start()
    until(lambda: bench.begun() == 1)
    assert finish(bench.start(ending="raise ValueError('no memory')"))[0] == 1
    assert len(content(bench.bucket / "results")) == 1 and other.poll() is None
    hold.unlink()
    assert finish(other)[0] == 7
    assert len(content(bench.bucket / "results")) == 2
    assert bench.locks() == []


def test_two_jobs_on_a_server_neither_wait_for_nor_disturb_each_other(bench):
    slow = bench.set("slow")
    first = bench.start(JOB_ID="one")
    bench.copier()
    folder = bench.folder / "other"
    (bench.bucket / "other").mkdir()
    paths = {key: folder / key for key in ("data_path", "load_path", "output_path")}
    second = bench.start(bench.options(**paths, train_url="obs://other"), JOB_ID="two", wait_limit=0)
    bench.copier(2)
    assert len(bench.locks()) == 2
    first.kill()
    slow.unlink()
    assert finish(second)[0] == 7
    assert len(content(folder / "data_path")) == 6 and len(content(bench.bucket / "other")) == 1


def test_the_coordinator_of_msrun_waits_for_the_data_but_copies_nothing_out(bench):
    slow, hold = bench.set("slow"), bench.set("hold")
    coordinator = bench.start(MS_ROLE="MS_SCHED")
    bench.copier()
    worker = bench.start(ending="pass", MS_ROLE="MS_WORKER")
    waiting([worker])
    slow.unlink()
    assert finish(worker)[0] == 7 and coordinator.poll() is None
    assert [int(call.split()[0]) for call in bench.calls("out")] == [worker.pid]
    hold.unlink()
    assert finish(coordinator)[0] == 7
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1


# Zip data sets


def test_of_three_processes_one_unzips_and_all_see_the_images(bench):
    with zipfile.ZipFile(bench.bucket / "data" / "images.zip", "w") as archive:
        archive.writestr("ImageNet/train/0/a.jpg", b"a")
    names = {"modelarts_dataset_unzip_name": "images", "folder_name_under_zip_file": "./ImageNet/train"}
    processes = [bench.start(bench.options(**names)) for _ in range(3)]
    outcomes = [finish(process) for process in processes]
    assert [status for status, _, _ in outcomes] == [7] * 3
    assert all("data: ['0']" in output for _, output, _ in outcomes)
    assert sum("unzip: 1/1 files" in errors for _, _, errors in outcomes) == 1


def test_a_bad_zip_fails_every_process_and_leaves_the_copied_data(bench):
    (bench.bucket / "data" / "images.zip").write_bytes(b"PK")
    processes = [bench.start(bench.options(modelarts_dataset_unzip_name="images")) for _ in range(2)]
    for status, _, errors in [finish(process) for process in processes]:
        assert status == 1 and "images.zip: not a complete zip file" in errors
    assert len(content(bench.folder / "cache/data")) == 7 and bench.locks() == []


# Paths and names


def configure(**values: object) -> Config:
    defaults = {"data_path": "/c/data", "load_path": "/c/load", "output_path": "/c/out"}
    return parse_config([f"--{key}={value}" for key, value in (defaults | values).items()], lambda _: "CPU")


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("train_data_dir", "", "/c/data"), ("train_data_dir", "train", "/c/data/train"),
        ("train_data_dir", "/mine", "/mine"), ("test_data_dir", "", "/c/data"), ("test_data_dir", "val", "/c/data/val"),
        ("checkpoint_path", "", ""), ("checkpoint_path", "a.ckpt", "/c/load/a.ckpt"),
        ("ckpt_file", "/a.ckpt", "/a.ckpt"),
        ("resume", "sub/a.ckpt", "/c/load/sub/a.ckpt"), ("resume", "auto", "auto"), ("resume", "", ""),
        ("save_checkpoint_path", "./", "/c/out"), ("save_checkpoint_path", "./cpu-ckpt", "/c/out/cpu-ckpt"),
        ("save_checkpoint_path", "/c/out/x", "/c/out/x"), ("eval_report", "", ""), ("eval_report", "r", "/c/out/r"),
        ("file_name", "xception", "/c/out/xception"),
    ],
)  # fmt: skip
def test_paths_lead_to_the_local_copies(key, given, expected):
    assert getattr(local_config(configure(**{key: given})), key) == expected


@pytest.mark.parametrize(("under", "given", "expected"), [
    ("./", "train", "/c/data/zip/train"), ("./ImageNet/train", "", "/c/data/zip/ImageNet/train"),
])  # fmt: skip
def test_images_of_a_zip_are_below_its_folder(under, given, expected):
    config = configure(modelarts_dataset_unzip_name="zip", folder_name_under_zip_file=under, train_data_dir=given)
    assert local_config(config).train_data_dir == expected


@pytest.mark.parametrize("key", ["save_checkpoint_path", "eval_report", "file_name"])
@pytest.mark.parametrize("path", ["/elsewhere", "../x", "/c/outside"])
def test_results_that_would_not_be_copied_out_are_refused(key, path):
    with pytest.raises(ConfigError, match=rf"^{key} {path} is outside of output_path /c/out"):
        local_config(configure(**{key: path}))


def test_validation_does_not_silently_take_the_training_images():
    with pytest.raises(ConfigError, match=r"add --test_data_dir, a folder below /c/data$"):
        local_config(configure(eval_while_train=True))


def test_the_name_of_a_job_is_the_same_for_its_processes_and_another_for_other_jobs(monkeypatch):
    for name in ("JOB_ID", "MA_VJ_NAME"):
        monkeypatch.delenv(name, raising=False)
    same = {job_name(configure(data_url="obs://a")), job_name(configure(data_url="obs://a", batch_size=3))}
    assert len(same) == 1
    others = [{}, {"data_url": "obs://b"}, {"data_url": "obs://a", "train_url": "obs://b"},
              {"data_url": "obs://a", "data_path": "/d"}]  # fmt: skip
    monkeypatch.setenv("MA_VJ_NAME", "ma-job-../17")
    names = [job_name(configure(data_url="obs://a")), *same]
    monkeypatch.delenv("MA_VJ_NAME")
    names += [job_name(configure(**other)) for other in others]
    assert len(set(names)) == 6
    assert names[0].startswith("ma-job----17-") and all(re.fullmatch(r"[\w-]+", name) for name in names)


# Whole commands


def test_training_and_evaluation_run_from_a_zip_in_a_bucket(bench, few_digits):
    with zipfile.ZipFile(bench.bucket / "data" / "digits.zip", "w") as archive:
        for path in sorted(few_digits.rglob("*.jpg")):
            archive.write(path, f"digits/{path.relative_to(few_digits)}")
    names = {"modelarts_dataset_unzip_name": "digits", "folder_name_under_zip_file": "digits", "num_classes": 3,
             "image_size": 71, "batch_size": 7}  # fmt: skip

    def run(script: str, **more: object) -> str:
        result = subprocess.run(
            [sys.executable, ROOT / script, *bench.options(**names, **more)], env=bench.environment(), cwd=bench.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("train.py", train_data_dir="train", epoch_size=1, lr_max=0.01)
    results = bench.bucket / "results" / "cpu-ckpt" / "model_0"
    assert {"Xception-rank0-1_3.ckpt", "metrics.csv", "class_names.txt", "config.yaml"} <= {*os.listdir(results)}
    shutil.copy(results / "Xception-rank0-1_3.ckpt", bench.folder / "cache/load")
    output = run("eval.py", test_data_dir="val", checkpoint_path="Xception-rank0-1_3.ckpt", eval_report="report")
    assert "evaluated 37 images, each once" in output
    assert (bench.bucket / "results" / "report" / "per_class.csv").exists()
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 2
