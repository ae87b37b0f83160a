"""How far training is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.position import Position


@given(st.integers(0, 100), st.integers(0, 44))
def test_the_global_step_counts_whole_epochs_and_the_rest(epoch, step):
    assert Position(epoch, step, 45).global_step == 45 * epoch + step


@given(st.integers(0, 100), st.integers(1, 50), st.integers(1, 50), st.data())
def test_in_other_steps_a_position_is_not_later_and_one_step_on_it_is(epoch, steps, others, data):
    position = Position(epoch, data.draw(st.integers(0, steps - 1)), steps, 0.5)
    same = position.in_steps_of(others)
    assert (same.epoch, same.steps_per_epoch, same.best) == (epoch, others, 0.5)
    assert same.epochs <= position.epochs < (epoch, (same.step + 1) / others)
    assert position.in_steps_of(steps) == position
