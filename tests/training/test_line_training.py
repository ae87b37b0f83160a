"""Real trainings that leave a line, are killed in a validation, or before their first checkpoint."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import train as train_door
from src.model_utils.command import run_command
from src.training.metrics import read_metrics
from tests.helpers.running import read_until, started
from tests.helpers.training_run import RESULT, losses, options

pytestmark = pytest.mark.slow


def validated(folder: Path) -> list[tuple[int, bool]]:
    """Return the rows of a folder, each as its epoch and whether it holds a validation."""
    return [(row.epoch, row.val_top_1 is not None) for row in read_metrics(folder / "metrics.csv")]


def test_a_copy_of_an_earlier_checkpoint_begins_a_line_of_other_steps_which_auto_finds(
    own_copy, few_digits, tmp_path, capsys
):
    copy = shutil.copy(own_copy / "Xception-rank0-1_5.ckpt", own_copy / "mine.ckpt")
    later, rows = (own_copy / "Xception-rank0-2_5.ckpt").read_bytes(), (own_copy / "metrics.csv").read_bytes()
    first = read_metrics(own_copy / "metrics.csv")[:3]
    words = options(few_digits, tmp_path / "out", f"--resume={copy}", "--batch_size=7", "--lr_max=0.1")
    assert run_command(train_door.main, words) == 0
    output = capsys.readouterr().out
    assert "it was written after step 0 of 5, this run has 3 steps an epoch" in output
    assert "\nschedule: lr_max 0.01 -> 0.1, the rate goes from 0.00801 to 0.1\n" in output
    assert (own_copy / "earlier-1" / "Xception-rank0-2_5.ckpt").read_bytes() == later
    assert (own_copy / "earlier-1" / "metrics.csv").read_bytes() == rows
    assert "lr_max: 0.01\n" in (own_copy / "earlier-1" / "config.yaml").read_text()
    assert read_metrics(own_copy / "metrics.csv")[:3] == first
    assert validated(own_copy)[3:] == [(2, False), (2, False)]
    assert run_command(train_door.main, options(few_digits, tmp_path / "out", "--resume=auto", "--batch_size=7")) == 0
    output = capsys.readouterr().out
    assert f"resuming {own_copy}/Xception-rank0-2_3.ckpt after epoch 2" in output
    assert "all 2 epochs are done already" in output
    assert not (own_copy / "earlier-2").exists()


def test_a_training_killed_before_its_first_checkpoint_and_in_its_validation_loses_neither(
    few_digits, tmp_path, capsys
):
    folder = tmp_path / "out" / "model_0"
    words = options(few_digits, tmp_path / "out", "--resume=auto", "--eval_while_train", "--epoch_size=1")
    with started(words, tmp_path) as process:
        read_until(process, "epoch: 1 step: 2,")
        while not validated(folder):
            time.sleep(0.01)
        process.kill()
        process.wait()
    with started(words, tmp_path) as process:
        read_until(process, "epoch time:")
        while not list(folder.glob("Xception-rank0-*")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill()
        process.wait()
    assert validated(folder) == [(1, False)] * 3
    assert not (folder / "earlier-1").exists()
    assert run_command(train_door.main, words) == 0
    output = capsys.readouterr().out
    assert "epoch 1 has no validation here: it is validated first" in output
    assert len(RESULT.findall(output)) == 1 and not losses(output)
    assert validated(folder) == [(1, False), (1, False), (1, True)]
    assert (folder / "Xception-best.ckpt").read_bytes() == (folder / "Xception-rank0-1_5.ckpt").read_bytes()
    assert run_command(train_door.main, words) == 0
    assert not RESULT.findall(capsys.readouterr().out)
    assert not (folder / "earlier-1").exists()
