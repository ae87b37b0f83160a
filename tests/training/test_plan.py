"""A training that is resumed inside an epoch counts its steps like the uninterrupted one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from src.checkpoints.position import Position
from src.training.plan import TrainingPlan

STEPS = 5
PLAN = TrainingPlan(np.zeros(3 * STEPS, np.float32), STEPS, images_per_step=8)


def context(epoch: int, step: int, batches: int) -> SimpleNamespace:
    """Return what MindSpore hands to callbacks: epochs from 1, steps since training was started."""
    parameters = SimpleNamespace(cur_epoch_num=epoch, cur_step_num=step, batch_num=batches)
    return SimpleNamespace(original_args=lambda: parameters)


@pytest.mark.parametrize(
    ("run_context", "position", "finished"),
    [
        (context(1, 1, STEPS), (0, 1), (0, 1)),
        (context(1, 5, STEPS), (0, 5), (1, 0)),
        (context(3, 2, STEPS), (2, 2), (2, 2)),  # a new data set, of the third epoch
        (context(3, 12, STEPS), (2, 2), (2, 2)),  # one data set for all epochs
        (context(2, 1, 2), (1, 4), (1, 4)),  # three batches are done already
        (context(2, 2, 2), (1, 5), (2, 0)),
    ],
)
def test_steps_are_counted_from_the_beginning_of_the_epoch(run_context, position, finished):
    assert PLAN.position(run_context) == Position(*position, STEPS)
    assert PLAN.finished(run_context) == Position(*finished, STEPS)


def test_what_is_left_are_all_images_but_those_of_the_finished_steps():
    assert PLAN.images_after(Position(1, 2, STEPS)) == 8 * 8
