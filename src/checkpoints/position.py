"""How far a training is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from src.checkpoints.best import NONE, TOP_1


@dataclass(frozen=True)
class Position:
    """How far training is.

    Args:
        epoch: Finished epochs, 0 or more.
        step: Finished steps of the epoch after these, 0 or more.
        steps_per_epoch: Steps of a whole epoch, 1 or more.
        best: Best figure of a validation so far, 0 or more, or -1 before the first one.
        metric: What that figure is, one of best.METRICS.
    """

    epoch: int = 0
    step: int = 0
    steps_per_epoch: int = 1
    best: float = NONE
    metric: str = TOP_1

    @property
    def global_step(self) -> int:
        """Finished steps in all."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def last_epoch(self) -> int:
        """Number of the epoch of the last step, from 1; 0 before the first step."""
        return self.epoch + bool(self.step)

    @property
    def epochs(self) -> tuple[int, float]:
        """Finished epochs, and the finished share of the next: the order of positions, whatever steps an epoch has."""
        return self.epoch, self.step / self.steps_per_epoch

    def in_steps_of(self, steps_per_epoch: int) -> Position:
        """Return the last position that is not later, with epochs of another number of steps."""
        step = self.step * steps_per_epoch // self.steps_per_epoch
        return replace(self, step=step, steps_per_epoch=steps_per_epoch)
