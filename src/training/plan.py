"""What the steps of a training are, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mindspore as ms
import numpy as np

from src.checkpoints.position import Position


@dataclass(frozen=True)
class TrainingPlan:
    """The steps of a training.

    Args:
        schedule: Float32 (all steps,), the learning rate of each step.
        steps_per_epoch: Steps of a whole epoch, 1 or more.
        images_per_step: Images of a step, over all devices.
    """

    schedule: np.ndarray
    steps_per_epoch: int
    images_per_step: int

    def images_after(self, position: Position) -> int:
        """Return how many images are left to train with."""
        return (len(self.schedule) - position.global_step) * self.images_per_step

    def is_done(self, position: Position) -> bool:
        """Tell whether nothing is left to train."""
        return position.global_step >= len(self.schedule)

    def ends_epoch(self, position: Position) -> bool:
        """Tell whether the step at hand, counted into its epoch, is the last one of it or of all."""
        return position.step == self.steps_per_epoch or self.is_done(position)

    def rate_before(self, position: Position) -> float:
        """Return the learning rate of the last step before a position, which may lie after the end of the schedule."""
        return float(self.schedule[min(position.global_step, len(self.schedule)) - 1])

    def position(self, run_context: ms.train.RunContext) -> Position:
        """Tell how far training is, from what Model.train hands to a callback.

        Its steps are those of the data set at hand, which may lack the first batches of the epoch.

        Args:
            run_context: As at the beginning or end of a step, or at the end of an epoch.

        Returns:
            The position, with the step at hand counted into its epoch (1 to steps_per_epoch).
        """
        parameters = run_context.original_args()
        skipped = self.steps_per_epoch - parameters.batch_num
        step = (parameters.cur_step_num - 1) % parameters.batch_num + 1 + skipped
        return Position(parameters.cur_epoch_num - 1, step, self.steps_per_epoch)

    def finished(self, run_context: ms.train.RunContext) -> Position:
        """Tell what is finished after the step at hand, as a checkpoint records it: an epoch at its end is whole."""
        position = self.position(run_context)
        if position.step == self.steps_per_epoch:
            return replace(position, epoch=position.epoch + 1, step=0)
        return position
