"""The position that a checkpoint records is read from its first bytes, and from nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.file import DamagedCheckpoint, write_checkpoint
from src.checkpoints.position import Position
from src.checkpoints.record import read_position, recorded_checkpoints
from src.checkpoints.training_state import load_training, save_training
from src.checkpoints.weights import save_weights
from src.metadata.metadata import Metadata
from tests.helpers.small_network import build_state

PLACE = Position(3, 2, 45, 0.75)


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A checkpoint whose metadata alone is longer than what is read of it."""
    path = tmp_path_factory.mktemp("record") / "a.ckpt"
    metadata = Metadata(tuple(f"class {number}" for number in range(2000)))
    save_training(path, replace(build_state(num_classes=2000), metadata=metadata), PLACE)
    return path.read_bytes()


def test_what_load_training_returns_is_read(tmp_path, content):
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    assert read_position(path) == PLACE == load_training(build_state(num_classes=2000), path)[0]
    path.write_bytes(content[:4096])
    assert read_position(path) == PLACE


@given(length=st.integers(0, 400), place=st.integers(0, 400), bit=st.integers(0, 7))
def test_a_damaged_beginning_gives_a_possible_position_or_none(tmp_path_factory, content, length, place, bit):
    path = tmp_path_factory.mktemp("damaged") / "a.ckpt"
    damaged = bytearray(content[:4096])
    damaged[place] ^= 1 << bit
    for data in (bytes(damaged), content[:length]):
        path.write_bytes(data)
        position = read_position(path)
        assert position is None or (position.epoch >= 0 and 0 <= position.step < position.steps_per_epoch)


def test_weights_other_files_and_missing_ones_record_none(tmp_path):
    save_weights(tmp_path / "weights.ckpt", build_state().network)
    (tmp_path / "text.ckpt").write_text("\n\x05notes")
    (tmp_path / "folder.ckpt").mkdir()
    for name in ("weights", "text", "folder", "absent"):
        assert read_position(tmp_path / f"{name}.ckpt") is None


@pytest.mark.parametrize("numbers", [(3, 45, 45), (3, -1, 45), (-1, 0, 45), (0, 0, 0), (0.5, 0, 45)])
def test_an_impossible_position_is_an_error_that_tells_it(tmp_path, numbers):
    path, state = tmp_path / "a.ckpt", build_state()
    epoch, step, steps = numbers
    first = {"steps_per_epoch": steps, "epoch_num": epoch, "step_num": step}
    write_checkpoint(path, [*state.network.get_parameters(), *state.optimizer.moments], first)
    assert read_position(path) is None
    with pytest.raises(DamagedCheckpoint, match=rf"impossible position: {epoch} epochs and step {step} of {steps}"):
        load_training(state, path)


def test_checkpoints_are_in_the_order_of_what_they_record(tmp_path):
    places = {
        "Xception-rank0-9_9.ckpt": Position(0, 3, 9),
        "Xception-rank0-2_9.ckpt": Position(1, 5, 10),
        "Xception-best.ckpt": Position(1, 0, 10),
        "Xception-rank0-1_10.ckpt": Position(1, 0, 10),
        "Xception-rank0-2_2.ckpt": Position(1, 2, 3),
        "Xception-rank0-1_1.ckpt": None,
    }
    for name, place in places.items():
        save_training(tmp_path / name, build_state(), place)
    found = [path.name.removeprefix("Xception-") for path, _ in recorded_checkpoints(tmp_path)]
    assert found == [f"{n}.ckpt" for n in ("rank0-1_1", "rank0-9_9", "best", "rank0-1_10", "rank0-2_9", "rank0-2_2")]
    assert recorded_checkpoints(tmp_path / "absent") == []
