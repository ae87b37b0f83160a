"""Which checkpoints of a training are saved and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from src.checkpoints.best import NONE, TOP_1, is_better
from src.checkpoints.names import BEST_CHECKPOINT, checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.record import recorded_checkpoints
from src.checkpoints.training_state import TrainingState, save_training
from src.common.same_disk import SameDisk


@dataclass(frozen=True)
class Keep:
    """Which of the numbered checkpoints there are.

    Args:
        every: Epochs from one checkpoint to the next, 1 or more.
        newest: Number of newest checkpoints to keep, 1 or more.
        last_epoch: Epochs of the whole training; the last one is saved in any case.
        steps: Steps from one checkpoint to the next besides, at the end of an epoch too; 0 for none.
        besides: Names of files that stay besides the newest.
        metric: What the best one is the best by, one of METRICS.
    """

    every: int
    newest: int
    last_epoch: int
    besides: frozenset[str] = frozenset()
    metric: str = TOP_1
    steps: int = 0

    def takes_epoch(self, epoch: int) -> bool:
        """Tell whether there is a checkpoint after an epoch, counted from 1, whatever its steps."""
        return epoch % self.every == 0 or epoch == self.last_epoch


class CheckpointKeeper:
    """Saves the checkpoints of a training, keeps the newest ones and the best.

    Args:
        folder: Where the files go.
        state: What is saved.
        keep: Which checkpoints there are.
        best: Best figure of a validation so far, or NONE before the first one.
    """

    def __init__(self, folder: Path, state: TrainingState, keep: Keep, best: float = NONE):
        self._folder = folder
        self._state = state
        self._keep = keep
        self._best = best
        self._disk = SameDisk(folder)
        self._saved: Position | None = None  # what the newest numbered checkpoint holds

    def save_if_due(self, position: Position) -> None:
        """Save the checkpoint of a position at the end of an epoch, unless it is passed over, or of all steps."""
        keep = self._keep
        by_steps = keep.steps and position.global_step % keep.steps == 0
        if position.step or keep.takes_epoch(position.epoch) or by_steps:
            self.save(position)

    def save(self, position: Position) -> Path:
        """Save the checkpoint of a position, unless that has just been done, and return its file."""
        position = self._with_best(position)
        path = self._folder / checkpoint_name(position)
        if position == self._saved:
            return path
        save_training(path, self._state, position)
        self._saved = position
        self._disk.say_change()
        # Only now may an old one go: a failed save leaves all there were.
        recorded = [old for old in recorded_checkpoints(self._folder, with_best=False) if old.position]
        for old in recorded[: -self._keep.newest]:
            if old.path != path and old.path.name not in self._keep.besides:
                old.path.unlink(missing_ok=True)
        return path

    def save_best(self, position: Position, figure: float) -> bool:
        """Save the best checkpoint, at the end of an epoch, if its validation is the best; return whether."""
        if not is_better(self._keep.metric, figure, self._best):
            return False
        self._best = figure
        self.save_if_due(position)  # once more, as it records the best figure
        save_training(self._folder / BEST_CHECKPOINT, self._state, self._with_best(position))
        return True

    def _with_best(self, position: Position) -> Position:
        return replace(position, best=self._best, metric=self._keep.metric)
