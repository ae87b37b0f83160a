"""Some epochs more: the learning rate stays where the schedule of the checkpoint ends, and its checkpoint stays too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.config import Config, ConfigError, parse_config
from src.training.metrics import read_metrics
from src.training.model import build_schedule
from src.training.more_epochs import add_epochs
from src.training.origin import Origin
from tests.helpers.small_network import build_state
from tests.helpers.small_training import train_small

RECIPE = {
    "epoch_size": 6, "warmup_epochs": 2, "lr_decay_mode": "cosine", "lr_init": 0.001, "lr_max": 0.01, "lr_end": 0.0001,
}  # fmt: skip
STEPS = 5


def checkpoint(folder: Path, position: Position | None, recipe: dict | None = None) -> Origin:
    metadata = Metadata(provenance=Provenance("training", recipe=RECIPE if recipe is None else recipe))
    save_training(folder / "x.ckpt", replace(build_state(), metadata=metadata), position)
    return Origin(folder / "x.ckpt", True, metadata)


def configure(*words: str) -> Config:
    return parse_config(["--more_epochs=2", *words], lambda _: "CPU")


def test_the_schedule_stays_and_its_last_rate_goes_on(tmp_path):
    config = add_epochs(configure(), checkpoint(tmp_path, Position(6, 0, STEPS)))
    assert (config.epoch_size, config.cooldown_epochs, config.more_epochs) == (8, 2, 0)
    before = build_schedule(configure().replace(**RECIPE, more_epochs=0), STEPS)
    rates = build_schedule(config, STEPS)
    assert np.array_equal(rates[: len(before)], before)
    assert rates[len(before) :].tolist() == [before[-1]] * 2 * STEPS


def test_epochs_can_be_added_again_and_to_an_unfinished_epoch(tmp_path):
    origin = checkpoint(tmp_path, Position(7, 3, STEPS), {**RECIPE, "epoch_size": 8, "cooldown_epochs": 2})
    config = add_epochs(configure(), origin)
    assert (config.epoch_size, config.cooldown_epochs) == (9, 3)


def test_a_rate_that_is_given_counts(tmp_path):
    config = add_epochs(configure("--lr_max=0.5"), checkpoint(tmp_path, Position(6, 0, STEPS)))
    assert (config.lr_max, config.lr_end) == (0.5, 0.0001)


def test_a_checkpoint_that_tells_no_settings_takes_those_of_the_command(tmp_path):
    config = add_epochs(configure("--epoch_size=6"), checkpoint(tmp_path, Position(6, 0, STEPS), {}))
    assert (config.epoch_size, config.cooldown_epochs) == (8, 2)


@pytest.mark.parametrize(
    ("position", "resumed", "message"),
    [
        (Position(3, 0, STEPS), True, "has finished 3 of 6 epochs: leave it out to finish them"),
        (None, True, "does not record how many are done: give --finish_epoch and --epoch_size"),
        (Position(6, 0, STEPS), False, "no training goes on: add --resume=auto or a file"),
    ],
)
def test_what_cannot_go_on_is_refused(tmp_path, position, resumed, message):
    with pytest.raises(ConfigError, match=f"^more_epochs is 2, but .*{message}"):
        add_epochs(configure(), replace(checkpoint(tmp_path, position), is_resumed=resumed))
    with pytest.raises(ConfigError, match=r"no training goes on: no checkpoint is there yet, leave it out$"):
        add_epochs(configure("--resume=auto"), None)


def test_two_more_epochs_keep_the_finished_checkpoint_and_the_rate_and_say_so(small_copy, few_digits, tmp_path, capsys):
    words = ["--resume=auto", "--more_epochs=2", "--keep_checkpoint_max=1", "--image_size=75"]
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    output, error = capsys.readouterr()
    assert "schedule: 2 -> 4 epochs, cooldown_epochs 0 -> 2, the rate goes on as before, from 0.00203\n" in error
    assert "image_size 71 -> 75" in error
    rates = {row.lr for row in read_metrics(small_copy / "metrics.csv") if row.epoch > 2}
    assert len(rates) == 1
    assert "steps: 20 in 4 epochs of 5" in output
    # Two more again, in other words: what ended a training stays for good.
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    assert sorted(path.name for path in small_copy.glob("Xception-rank0-*")) == [
        f"Xception-rank0-{epoch}_5.ckpt" for epoch in (2, 4, 6)
    ]


def test_pretrained_weights_in_the_folder_are_read_before_they_move_and_it_is_said_where_to_write(
    small_copy, few_digits, tmp_path, capsys
):
    given = small_copy / "Xception-rank0-2_5.ckpt"
    words = [f"--pretrained={given}", "--epoch_size=1"]
    assert train_small(few_digits, tmp_path / "out", *words) == 0
    output, error = capsys.readouterr()
    assert f"pretrained weights from {given}\n" in output
    assert f"files of an earlier run are in {small_copy / 'earlier-1'} now\n" in output
    assert f"{given} is among them, and has been read: the same command would not find it there again; give" in error
