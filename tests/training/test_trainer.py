"""How the epochs of a training follow one another."""

from __future__ import annotations

import gc
import weakref

import pytest

from src.checkpoints.position import Position
from src.model_utils.config import parse_config
from src.training import trainer
from src.training.epochs import run_epochs
from src.training.images import train_dataset
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
