"""tools/quickstart.py: what it asks the other commands for, and what it refuses; the scripts' tests run it whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from src.model_utils.command import run_command
from tests.helpers.project import ROOT
from tools import quickstart

FIGURES = [
    "result: {'Loss': 2.0, 'Top_1_Acc': 0.5, 'Top_5_Acc': 1.0} ckpt= x",
    "evaluated 4 images, each once",
]
DATA = "data: 1438 images in 10 classes of digits/train; validation: 359 of digits/val"


class Commands:
    """Stands in for the commands: notes them, and leaves the files that they would."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.statuses: dict[str, int] = {}
        self.bad = ""

    def __call__(self, command: Sequence[str]) -> tuple[int, list[str]]:
        name, options = Path(command[1]).stem, list(command[2:])
        self.calls.append([name, *options])
        given = dict(option[2:].split("=", 1) for option in options if "=" in option)
        if name == "check_dataset":
            Path(given["list"]).write_text(self.bad)
        elif name == "split_dataset":
            for part in ("train", "val"):
                make_images(Path(options[1]) / part)
        elif name == "make_sample_dataset":
            make_images(Path(options[0]) / "train")
            (Path(options[0]) / "dataset.json").touch()
        elif name == "train" and not self.statuses.get(name):
            touch(
                Path(given["save_checkpoint_path"]) / "model_0", "Xception-rank0-3_7.ckpt", "metrics.csv", "curves.png"
            )
        elif name == "eval":
            touch(Path(given["eval_report"]), "report.html", "per_class.csv", "confusion_matrix.png")
        elif name == "export":
            Path(f"{given['file_name']}.mindir").touch()
        return self.statuses.get(name, 0), {"train": [DATA], "eval": FIGURES}.get(name, [])

    def options_of(self, name: str) -> set[str]:
        (found,) = [options for command, *options in self.calls if command == name]
        return set(found)


@pytest.fixture
def commands(monkeypatch) -> Commands:
    commands = Commands()
    monkeypatch.setattr(quickstart, "call", commands)
    return commands


def touch(folder: Path, *names: str) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).touch()


def make_images(folder: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(2):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{number}.jpg").touch()  # nothing opens it here


@pytest.fixture
def photos(tmp_path) -> Path:
    make_images(tmp_path / "photos")
    return tmp_path / "photos"


def run(*words: str | Path) -> int:
    return run_command(quickstart.main, [str(word) for word in words])


def test_own_images_are_checked_divided_trained_on_evaluated_and_exported(commands, photos, tmp_path, capsys):
    out, weights = tmp_path / "out", tmp_path / "w.ckpt"
    weights.touch()
    assert run(out, f"--data={photos}", f"--pretrained={weights}", "--epoch_size=3") == 0
    assert [name for name, *_ in commands.calls] == ["check_dataset", "split_dataset", "train", "eval", "export"]
    assert commands.calls[1][1:] == [str(photos), str(out / "images"), "--val=0.2"]
    assert commands.options_of("train") == {
        f"--config_path={ROOT / 'scripts' / 'own_images.yaml'}",
        "--device_target=CPU",
        f"--train_data_dir={out / 'images' / 'train'}",
        f"--test_data_dir={out / 'images' / 'val'}",
        f"--save_checkpoint_path={out}",
        f"--pretrained={weights}",
        "--num_classes=2",
        "--epoch_size=3",
        "--lr_max=0.002",
        "--head_lr_scale=10",
    }
    table = capsys.readouterr().out.split("== result\n")[1]
    checkpoint = out / "model_0" / "Xception-rank0-3_7.ckpt"
    for line in ("training images      1438 in 10 classes", "held-out images      4", "top-1                50.00 %"):
        assert line in table
    assert f"checkpoint           {checkpoint} " in table
    assert str(out / "xception.mindir") in table


def test_the_size_of_the_images_is_for_the_checkpoint_to_tell_after_training(commands, photos, tmp_path):
    assert run(tmp_path / "out", f"--data={photos}", "--image_size=96") == 0
    assert "--image_size=96" in commands.options_of("train")
    for name in ("eval", "export"):
        assert not any(option.startswith(("--image_size", "--config_path")) for option in commands.options_of(name))


def test_bad_images_are_left_out_and_told(commands, photos, tmp_path, capsys):
    commands.bad, commands.statuses["check_dataset"] = "photos/cat/0.jpg\n", 1
    assert run(tmp_path / "out", f"--data={photos}") == 0
    assert f"--leave_out={tmp_path / 'out' / 'bad_images.txt'}" in commands.options_of("split_dataset")
    assert f"images left out      those in {tmp_path / 'out' / 'bad_images.txt'}" in capsys.readouterr().out


def test_a_folder_that_is_divided_already_is_used_as_it_is(commands, tmp_path):
    make_images(tmp_path / "data" / "train")
    make_images(tmp_path / "data" / "val")
    commands.bad = "data/train/cat/0.jpg\n"
    assert run(tmp_path / "out", f"--data={tmp_path / 'data'}") == 0
    assert "split_dataset" not in [name for name, *_ in commands.calls]
    assert f"--train_data_dir={tmp_path / 'data' / 'train'}" in commands.options_of("train")
    assert "--bad_images=skip" in commands.options_of("train") & commands.options_of("eval")


def test_a_stage_that_fails_ends_it_and_a_second_call_goes_on_there(commands, photos, tmp_path, capsys):
    commands.statuses["train"] = 3
    assert run(tmp_path / "out", f"--data={photos}") == 3
    assert "== result" not in capsys.readouterr().out
    commands.statuses.clear()
    commands.calls.clear()
    # What has not been begun may still be changed.
    assert run(tmp_path / "out", f"--data={photos}", "--batch_size=2") == 0
    assert [name for name, *_ in commands.calls] == ["train", "eval", "export"]


def test_a_folder_of_an_earlier_version_which_counted_no_training_images_is_told_without(commands, tmp_path, capsys):
    assert run(tmp_path / "out") == 0
    table = capsys.readouterr().out.split("== result\n")[1].splitlines()
    (tmp_path / "out" / "train.json").write_text('{"seconds": 5}\n')
    assert run(tmp_path / "out") == 0
    again = capsys.readouterr().out.split("== result\n")[1].splitlines()
    assert [line.split("  ")[0] for line in again] == [line.split("  ")[0] for line in table[1:]]


def test_an_interrupted_training_goes_on_at_its_newest_checkpoint(commands, photos, tmp_path):
    out = tmp_path / "out"
    assert run(out, f"--data={photos}") == 0
    (out / "train.json").unlink()
    (out / "model_0" / "Xception-rank0-3_7.ckpt").rename(out / "model_0" / "Xception-rank0-2_7.ckpt")
    commands.calls.clear()
    commands.statuses["train"] = 1
    assert run(out, f"--data={photos}") == 1
    assert f"--resume={out / 'model_0' / 'Xception-rank0-2_7.ckpt'}" in commands.options_of("train")


def test_a_folder_of_other_options_is_refused(commands, photos, tmp_path, capsys):
    assert run(tmp_path / "out", f"--data={photos}") == 0
    assert run(tmp_path / "out", f"--data={photos}", "--epoch_size=9") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {tmp_path / 'out'} holds results of other options (--epoch_size was None and is 9): "
        "choose another FOLDER"
    )
    assert run(tmp_path / "out") == 2
    assert f"--data was {photos} and is None" in capsys.readouterr().err


def test_a_training_of_other_origin_is_not_gone_on_with(commands, tmp_path, capsys):
    (tmp_path / "out" / "model_0").mkdir(parents=True)
    assert run(tmp_path / "out") == 2
    assert "of a training that this command has not begun" in capsys.readouterr().err
    assert commands.calls == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--data={photos}x"], "no folder {photos}x: --data needs your images, one folder a class"),
        (["--pretrained={photos}"], "no file {photos}: --pretrained needs a checkpoint"),
        (["{photos}/out", "--data={photos}"], "{photos}/out is inside {photos}: choose a FOLDER beside your images"),
        (["--val=0.1"], "--val is a share between 0 and 1, of the images in --data"),
        (["--data={photos}", "--val=1"], "--val is a share between 0 and 1, of the images in --data"),
    ],
)
def test_a_wrong_option_is_one_line_before_anything_is_made(commands, photos, monkeypatch, capsys, words, error):
    monkeypatch.chdir(photos.parent)
    assert run(*(word.format(photos=photos) for word in words)) == 2
    assert capsys.readouterr().err == f"error: {error.format(photos=photos)}\n"
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]


@pytest.mark.parametrize("page", ["README.md", "README_CN.md"])
def test_the_table_that_the_documents_show_is_that_of_this_version(commands, tmp_path, monkeypatch, capsys, page):
    (shown,) = re.findall(r"```text\n(training images .*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert run() == 0
    printed = capsys.readouterr().out.split("== result\n")[1]
    number = re.compile(r"\d+(\.\d+)?")
    assert number.sub("N", shown) == number.sub("N", printed)
    table = dict(re.findall(r"^(\S.*?) {2,}(.*)$", shown, re.MULTILINE))
    config = yaml.safe_load((ROOT / "scripts" / "quickstart.yaml").read_text(encoding="utf-8"))
    assert (table["training images"], table["held-out images"]) == ("1438 in 10 classes", "359")
    assert int(table["epochs"]) == config["config_cpu"]["epoch_size"]
    assert 97.5 <= float(table["top-1"].split()[0]) <= float(table["top-5"].split()[0]) <= 100
    assert int(table["training seconds"]) <= 89  # of two cores
    assert f"Xception-rank0-{table['epochs']}_{1438 // config['config_cpu']['batch_size']}.ckpt" in table["checkpoint"]


def test_a_signal_reaches_the_command_and_its_status_comes_back():
    child = "import signal, time; signal.signal(15, lambda *_: exit(7)); print(1, flush=True); time.sleep(60)"
    code = f"import sys; from src.common.stages import call; print(call([sys.executable, '-c', {child!r}]))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "1\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "(7, ['1'])\n"


def test_the_note_of_the_options_is_readable_or_refused(commands, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "quickstart.json").write_text("[1")
    assert run(tmp_path / "out") == 2
    assert "quickstart.json is damaged" in capsys.readouterr().err
