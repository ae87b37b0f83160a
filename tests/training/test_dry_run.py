"""A dry run tells what a training would take and leaves nothing, however it ends."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.data.usable_images import UsableImages
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training import dry_run, forecast
from src.training.folder import Training, print_summary
from src.training.forecast import Measured, report, space_warning
from src.training.plan import TrainingPlan
from src.training.resume import Start
from tests.helpers.small_training import train_small


@pytest.fixture
def temporary(tmp_path_factory, monkeypatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    times = {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    return {**times, **{f"content of {path.relative_to(folder)}": path.read_bytes() for path in files}}


def test_it_tells_what_the_rest_of_a_training_takes_and_changes_nothing(
    few_digits, small_copy, temporary, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = state_of(tmp_path)
    words = ("--dry_run", "--eval_while_train", "--resume=auto", "--epoch_size=5", "--log_dir=runs")
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    assert state_of(tmp_path) == before and os.listdir(temporary) == []
    said = capsys.readouterr()
    number = r"\d+\.\d+"
    for line in (
        "data: 21 images in 3 classes of .*; validation: 37 of .*",
        f"first step: {number} s, with the compilation",
        f"speed: {number} images/s in the steps after it, {number} s each; images alone are read at {number}/s",
        rf"memory: {number} GB at most in this process",
        rf"validation: {number} s a batch, 0:00:\d\d for 37 images, 3 times",
        rf"checkpoint: {number} MB, written in {number} s",
        rf"disk: {number} MB at most, for 6 checkpoints and one being written; {number} MB are free for .*/out/model_0",
        r"forecast: 0:00:\d\d for 15 steps in 3 epochs, of which 0:00:\d\d are validation and 0:00:\d\d checkpoints",
    ):
        assert re.search(f"^{line}$", said.out, re.MULTILINE), (line, said.out)
    assert "log_dir has no effect with dry_run, which writes nothing of a training\n" in said.err
    assert "finished" not in said.out


def test_a_new_training_leaves_no_folder_also_where_its_epochs_are_shorter_than_the_dry_run(
    few_digits, temporary, tmp_path, capsys
):
    words = ("--dry_run", "--batch_size=7", "--epoch_size=3", "--save_checkpoint=False")
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    said = capsys.readouterr().out
    assert "steps: 9 in 3 epochs of 3" in said and "forecast: 0:00:0" in said
    assert not {"disk:", "checkpoint:", "validation:"} & set(said.split("\n")[-6:])
    assert train_small(few_digits, tmp_path / "out", "--dry_run", "--max_steps=1") == 0
    assert "forecast: none, as the only step of this training is the one that compiles\n" in capsys.readouterr().out
    assert os.listdir(tmp_path) == os.listdir(temporary) == []


def test_the_first_rank_alone_tells_what_is_tried(capsys):
    print_summary(SimpleNamespace(group=Group(1, 2)), None, None)
    assert capsys.readouterr().out == ""


def full(path, *_):
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device", str(path))


def stopped(path, *arguments):
    path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGTERM)
    save_training(path, *arguments)


@pytest.mark.parametrize(
    ("save", "words", "status", "message"),
    [
        (full, (), 1, r"error: No space left on device: .*"),
        (stopped, (), 143, "stopped by SIGTERM; the dry run has left nothing"),
        (
            save_training,
            ("--lr_max=1e38", "--lr_init=1e38"),
            1,
            r"error: the loss of step \d is (nan|inf): try a .*",
        ),
    ],
    ids=["full disk", "SIGTERM", "diverged"],
)
def test_nothing_is_left_where_it_fails_or_is_stopped(
    save, words, status, message, few_digits, temporary, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(dry_run, "save_training", save)
    assert train_small(few_digits, tmp_path / "out", "--dry_run", *words) == status
    assert os.listdir(tmp_path) == os.listdir(temporary) == []
    assert re.search(f"^{message}$", capsys.readouterr().err, re.MULTILINE)


def training(*words: str, steps: int = 100, start: Position | None = None) -> Training:
    """Return what a forecast needs of a training of 4 epochs of 100 steps of 10 images."""
    config = parse_config(["--epoch_size=4", "--batch_size=10", *words], lambda _: "CPU")
    plan = TrainingPlan(np.zeros(4 * steps), steps, 10)
    start = Start(start or Position(0, 0, steps))
    return Training(config, ALONE, SimpleNamespace(), plan, start, Path("out"), UsableImages(None, 1000))


VALIDATED = SimpleNamespace(images=UsableImages(None, 95))
MEASURED = Measured(first_step=60, step=2.0, reading=50, validation=3.0, saving=1.0, checkpoint=10**6)


@pytest.mark.parametrize(
    ("made", "measured", "told"),
    [
        (training(), MEASURED, "0:14:22 for 400 steps in 4 epochs, of which 0:00:00 are validation and 0:00:04 check"),
        (training(start=Position(2, 50, 100)), MEASURED, "0:06:00 for 150 steps in 2 epochs, of which 0:00:00 are"),
        (training(), replace(MEASURED, reading=2), "0:34:19 for 400 steps"),
        (training("--eval_while_train", "--eval_interval=3"), MEASURED, "0:15:26 for 400 steps in 4 epochs, of which "
         "0:01:00 are validation and 0:00:08 checkpoints"),
        (training("--save_checkpoint_epochs=3", "--save_checkpoint_steps=50"), MEASURED, "0:14:28 for 400 steps in 4 "
         "epochs, of which 0:00:00 are validation and 0:00:10 checkpoints"),
        (training(), replace(MEASURED, saving=None), "0:14:18 for 400 steps in 4 epochs, of which 0:00:00 are valida"),
    ],
)  # fmt: skip
def test_the_forecast_adds_up(made, measured, told):
    validated = VALIDATED if made.config.eval_while_train else None
    *_, last = report(made, measured, validated)
    assert last.startswith(f"forecast: {told}")


def test_a_disk_that_is_too_small_for_all_checkpoints_is_told(monkeypatch):
    made = training("--eval_while_train", "--keep_checkpoint_max=2")
    for free, is_told in ((3_999_999, True), (4_000_000, False)):  # two, the best, and one that is being written
        monkeypatch.setattr(forecast, "free_space", lambda _, free=free: free)
        warning = space_warning(made, MEASURED)
        assert bool(warning) is is_told
        assert not warning or warning.startswith(
            "warning: the checkpoints need up to 4.0 MB, and the disk of out has 4.0"
        )
