"""A training of so many steps, and checkpoints every few steps: both go on exactly after a resume."""

from __future__ import annotations

import numpy as np
import pytest

from src.model_utils.config import ConfigError, parse_config
from src.training.metrics import read_metrics
from src.training.model import build_schedule, settle_steps
from src.training.options import check_options
from tests.helpers.small_training import train_small


def configure(*words: str, device: str = "CPU"):
    return parse_config(list(words), lambda _: device)


@pytest.mark.parametrize("mode", ["linear", "poly", "steps", "cosine"])
def test_whole_epochs_of_steps_have_the_schedule_of_these_epochs(mode):
    words = [f"--lr_decay_mode={mode}", "--warmup_epochs=2", "--cooldown_epochs=1"]
    by_epochs = build_schedule(configure(*words, "--epoch_size=7"), 49)
    assert np.array_equal(build_schedule(configure(*words, "--max_steps=343"), 49), by_epochs)


def test_a_part_of_an_epoch_ends_the_schedule_and_cuts_a_longer_warm_up():
    rates = build_schedule(configure("--max_steps=12", "--lr_decay_mode=cosine"), 5)
    assert len(rates) == 12
    assert rates[-1] == pytest.approx(4e-5)
    warming = build_schedule(configure("--max_steps=3"), 5)
    assert np.array_equal(warming, build_schedule(configure("--epoch_size=1"), 5)[:3])


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (5, 1), (6, 2), (12, 3)])
def test_the_epochs_are_those_that_the_steps_begin(steps, epochs):
    assert settle_steps(configure(f"--max_steps={steps}"), 5).epoch_size == epochs


@pytest.mark.parametrize("name", ["max_steps", "save_checkpoint_steps"])
def test_a_device_that_takes_whole_epochs_is_refused(name):
    with pytest.raises(
        ConfigError, match=f"{name} is 3, but the device takes a whole epoch at once: add --dataset_sink"
    ):
        check_options(configure(f"--{name}=3", device="Ascend"))
    check_options(configure(f"--{name}=3", "--dataset_sink_mode=False", device="Ascend"))


def steps_of(folder) -> dict[int, float]:
    return {row.step: row.loss for row in read_metrics(folder / "metrics.csv")}


def numbered(folder) -> list[str]:
    return sorted(path.name.removeprefix("Xception-rank0-") for path in folder.glob("Xception-rank0-*"))


def test_a_training_of_steps_validates_at_its_end_and_goes_on_exactly_from_a_step(few_digits, tmp_path, capsys):
    words = ["--max_steps=8", "--save_checkpoint_steps=3", "--eval_while_train"]
    whole, parted = tmp_path / "whole" / "model_0", tmp_path / "parted" / "model_0"
    assert train_small(few_digits, tmp_path / "whole", *words) == 0
    output, error = capsys.readouterr()
    assert numbered(whole) == ["1_3.ckpt", "1_5.ckpt", "2_1.ckpt", "2_3.ckpt"]
    assert "steps: 8 in 2 epochs of 5" in output
    assert output.count("result: ") == 2
    assert "train: 32/32 images (100%)" in error
    assert "epoch_size 2 has no effect: max_steps is 8" in error
    last = read_metrics(whole / "metrics.csv")[-1]
    assert (last.epoch, last.step, last.val_top_1 is not None) == (2, 8, True)
    assert train_small(few_digits, tmp_path / "whole", *words, "--resume=auto") == 0
    assert "all 8 steps are done already" in capsys.readouterr().out

    assert train_small(few_digits, tmp_path / "parted", *words, f"--resume={whole}/Xception-rank0-2_1.ckpt") == 0
    output, error = capsys.readouterr()
    assert "resuming" in output
    assert "not the uninterrupted run" not in error
    assert steps_of(parted) == {step: loss for step, loss in steps_of(whole).items() if step > 6}
