"""Numbered checkpoints are named as in the model zoo, and found in the order of training."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.names import checkpoint_name, numbered_checkpoints
from src.checkpoints.position import Position


def test_names_are_those_of_the_model_zoo():
    assert checkpoint_name(Position(2, 0, 45)) == "Xception-rank0-2_45.ckpt"
    assert checkpoint_name(Position(2, 7, 45)) == "Xception-rank0-3_7.ckpt"


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9)), unique=True))
def test_numbered_checkpoints_are_sorted_by_position(tmp_path_factory, positions):
    folder = tmp_path_factory.mktemp("checkpoints")
    for epoch, step in positions:
        (folder / f"Xception-rank0-{epoch}_{step}.ckpt").touch()
    for other in ("Xception-rank1-1_1.ckpt", "Xception-best.ckpt", ".Xception-rank0-1_1.ckpt.0.tmp.ckpt", "x"):
        (folder / other).touch()
    expected = [f"Xception-rank0-{epoch}_{step}.ckpt" for epoch, step in sorted(positions)]
    assert [path.name for path in numbered_checkpoints(folder)] == expected
    assert numbered_checkpoints(folder / "absent") == []
