"""How far training is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.position import (
    Position,
)


@given(st.integers(0, 100), st.integers(0, 44))
def test_the_global_step_counts_whole_epochs_and_the_rest(epoch, step):
    assert Position(epoch, step, 45).global_step == 45 * epoch + step
