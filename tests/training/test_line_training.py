"""A real training that is killed before its first checkpoint, and in a validation."""

from __future__ import annotations

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
