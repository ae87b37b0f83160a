"""What training needs to go on comes back from a checkpoint as it was: weights, momentum, average and position."""

from __future__ import annotations

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState, load_training, save_training, set_global_step
from src.checkpoints.weights import load_weights, save_weights
from tests.helpers.small_network import Small, assert_same, build, build_state, set_random, values


def averages(state: TrainingState) -> dict[str, np.ndarray]:
    """Return the averaged weights by the names of the weights."""
    return {name.removeprefix("ema."): value for name, value in values(state.averaged).items()}


@pytest.fixture
def saved(tmp_path):
    state = build_state()
    path = tmp_path / "a.ckpt"
    save_training(path, state, Position(3, 2, 45, 0.75))
    return path, state


def test_training_state_comes_back_as_it_was(saved):
    path, state = saved
    other = build_state()
    assert load_training(other, path) == (Position(3, 2, 45, 0.75), True)
    assert_same(values(state.network), values(other.network))
    for left, right in zip(state.optimizer.moments, other.optimizer.moments, strict=True):
        assert np.array_equal(left.asnumpy(), right.asnumpy())


def test_weights_alone_have_no_position_and_no_momentum(tmp_path):
    state = build_state()
    save_weights(tmp_path / "weights.ckpt", state.network)
    before = [moment.asnumpy().copy() for moment in state.optimizer.moments]
    assert load_training(state, tmp_path / "weights.ckpt") == (None, False)
    assert all(np.array_equal(old, new.asnumpy()) for old, new in zip(before, state.optimizer.moments, strict=True))


def test_a_checkpoint_of_mindspores_own_callback_is_taken_with_its_momentum(tmp_path):
    network, optimizer = build()
    cell = nn.TrainOneStepCell(nn.WithLossCell(network, nn.MSELoss()), optimizer)
    ms.save_checkpoint(cell, str(tmp_path / "zoo.ckpt"), append_dict={"epoch_num": 3, "step_num": 7})
    other = build_state()
    assert load_training(other, tmp_path / "zoo.ckpt") == (None, True)
    assert_same(values(network), values(other.network))


def test_the_global_step_is_what_the_schedule_follows():
    _, optimizer = build()
    set_global_step(optimizer, 7)
    assert optimizer.global_step.asnumpy().tolist() == [7]


@pytest.mark.parametrize("damage", ["empty", "text", "half", "flipped", "tail"])
def test_a_damaged_checkpoint_is_one_line_and_changes_nothing(saved, damage, capfd):
    path, _ = saved
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 3] ^= 0x40
    contents = {"empty": b"", "text": b"no checkpoint" * 99, "half": data[: len(data) // 2], "tail": data[:-30]}
    path.write_bytes(contents.get(damage, data))
    state = build_state()
    before = values(state.network, state.optimizer)
    with pytest.raises(ValueError, match=rf"cannot read checkpoint {re.escape(str(path))}") as caught:
        load_training(state, path)
    assert "\n" not in str(caught.value)
    assert_same(before, values(state.network, state.optimizer))
    assert capfd.readouterr().err == ""


# Moving averages


@pytest.fixture
def with_average(tmp_path):
    """A checkpoint with an average that differs from the weights, and what it holds."""
    state = build_state(average=True)
    save_training(tmp_path / "a.ckpt", state)
    return tmp_path / "a.ckpt", values(state.network), averages(state)


def test_a_resumed_training_gets_weights_and_average(with_average):
    path, weights, expected = with_average
    state = build_state(average=True)
    load_training(state, path)
    assert_same(values(state.network), weights)
    assert_same(averages(state), expected)


def test_a_training_without_average_goes_on_with_the_weights(with_average):
    path, weights, _ = with_average
    state = build_state()
    load_training(state, path)
    assert_same(values(state.network), weights)


def test_an_average_begins_at_the_weights_of_a_checkpoint_without_one(tmp_path):
    state = build_state(average=True)
    expected = values(state.network)
    save_training(tmp_path / "b.ckpt", TrainingState(state.network, state.optimizer))
    set_random(state.network.get_parameters())
    load_training(state, tmp_path / "b.ckpt")
    assert_same(averages(state), expected)


def test_evaluation_and_export_take_the_average(with_average):
    path, _, expected = with_average
    network = Small()
    load_weights(network, path)
    assert_same(values(network), expected)
