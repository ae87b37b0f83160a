"""How the epochs of a training follow one another."""

from __future__ import annotations

import gc
import weakref

import pytest

from src.checkpoints.position import Position
from src.checkpoints.weights import read_metadata
from src.data.augmentation import Augmentation
from src.model_utils.config import parse_config
from src.training import trainer
from src.training.dropout import ReplayableDropout
from src.training.epochs import run_epochs
from src.training.images import train_dataset
from src.training.model import build_augmentation
from tests.helpers.small_training import train_small


@pytest.mark.parametrize(
    ("sink", "start", "calls"),
    [
        (False, Position(0), [(0, 0, 1), (1, 0, 2), (2, 0, 3)]),
        (False, Position(1, 4), [(1, 4, 2), (2, 0, 3)]),
        (True, Position(0), [(0, 0, 3)]),
        (True, Position(1, 4), [(1, 4, 2), (2, 0, 3)]),
        (True, Position(3), []),
    ],
)
def test_each_epoch_has_a_data_set_of_its_own_unless_the_device_sinks_data(sink, start, calls):
    """`calls` are the epoch and step a data set begins with, and the epoch that training on it ends with."""
    found = []

    class Recorder:
        def train(self, last, position, callbacks, sink_mode, initial_epoch):
            assert sink_mode is sink
            assert initial_epoch == position.epoch
            found.append((position.epoch, position.step, last))

    device = "Ascend" if sink else "CPU"
    config = parse_config(["--epoch_size=3"], lambda _: device)
    run_epochs(Recorder(), lambda position: position, [], config, start)
    assert found == calls


def test_no_data_set_but_the_last_is_kept_when_an_epoch_begins(few_digits, tmp_path, monkeypatch):
    made = []

    def recorded(*arguments):
        assert [reference() for reference in made[:-1]] == [None] * len(made[:-1])
        dataset = train_dataset(*arguments)
        made.append(weakref.ref(dataset))
        return dataset

    monkeypatch.setattr(trainer, "train_dataset", recorded)
    gc.disable()
    try:
        assert train_small(few_digits, tmp_path, "--epoch_size=4") == 0
    finally:
        gc.enable()
    assert len(made) == 1 + 4  # one of them to count the steps


AUGMENTED = ("--vertical_flip=0.5", "--color_jitter=0.1", "--auto_augment=trivialaugment", "--dropout_rate=0.2")


def test_what_is_chosen_of_augmentation_reaches_the_images():
    config = parse_config([*AUGMENTED, "--use_label_smooth=False"], lambda _: "CPU")
    assert build_augmentation(config) == Augmentation(
        vertical_flip=0.5, color_jitter=0.1, auto_augment="trivialaugment"
    )
    recipe = parse_config(["--use_label_smooth=False"], lambda _: "CPU")
    assert build_augmentation(recipe) == Augmentation()


def test_the_dropout_rate_reaches_the_network_and_all_of_it_the_checkpoint(few_digits, tmp_path, monkeypatch):
    rates = []

    def recorded(rate, *arguments):
        rates.append(rate)
        return ReplayableDropout(rate, *arguments)

    monkeypatch.setattr(trainer, "ReplayableDropout", recorded)
    assert train_small(few_digits, tmp_path, *AUGMENTED, "--epoch_size=1") == 0
    assert rates == [0.2]
    recipe = read_metadata(tmp_path / "model_0" / "Xception-rank0-1_5.ckpt").provenance.recipe
    chosen = {"vertical_flip": 0.5, "color_jitter": 0.0, "auto_augment": "trivialaugment", "dropout_rate": 0.2}
    assert chosen.items() <= recipe.items()
    config = parse_config([f"--config_path={tmp_path / 'model_0' / 'config.yaml'}"], lambda device: device)
    assert (config.auto_augment, config.color_jitter) == ("trivialaugment", 0.1)
