"""Which checkpoints of a training are saved and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mindspore import nn

from src.checkpoints.names import BEST_CHECKPOINT
from src.checkpoints.weights import Position, checkpoint_name, numbered_checkpoints, save_checkpoint

RANK = 0  # all ranks hold the same weights: the first saves them


class CheckpointKeeper:
    """Saves the checkpoints of a training, keeps the newest ones and the best.

    Args:
        folder: Where the files go.
        network: The network.
        optimizer: Its optimizer.
        every: Epochs from one checkpoint to the next, 1 or more.
        keep: Number of newest checkpoints to keep, 1 or more.
        epochs: Epochs of the whole training; the last one is saved in any case.
        best_top_1: Best validation top-1 so far, 0 to 1, or -1 before the first validation.
        averaged: The moving average of the network; None where there is none.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        every: int,
        keep: int,
        epochs: int,
        best_top_1: float = -1.0,
        averaged: nn.Cell | None = None,
    ):
        self._folder = folder
        self._state = (network, optimizer)
        self._averaged = averaged
        self._every = every
        self._keep = keep
        self._epochs = epochs
        self._best_top_1 = best_top_1

    def save_if_due(self, position: Position) -> None:
        """Save the checkpoint of a position at the end of an epoch, unless it is one that is passed over."""
        if position.epoch % self._every == 0 or position.epoch == self._epochs:
            self.save(position)

    def save(self, position: Position) -> Path:
        """Save the checkpoint of a position and return its file."""
        saved = self._write(checkpoint_name(RANK, position), position)
        # Only now may an old one go: a failed save leaves all there were.
        for path in numbered_checkpoints(self._folder, RANK)[: -self._keep]:
            if path != saved:
                path.unlink(missing_ok=True)
        return saved

    def save_best(self, position: Position, top_1: float) -> bool:
        """Save the best checkpoint, at the end of an epoch, if its validation top-1 is the best; return whether."""
        if top_1 <= self._best_top_1:
            return False
        self._best_top_1 = top_1
        self.save_if_due(position)  # once more, as it records the best top-1
        self._write(BEST_CHECKPOINT, position)
        return True

    def _write(self, name: str, position: Position) -> Path:
        path = self._folder / name
        save_checkpoint(path, *self._state, replace(position, best_top_1=self._best_top_1), self._averaged)
        return path
