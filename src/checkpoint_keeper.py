"""Which checkpoints of a training are saved and kept."""

from __future__ import annotations

from pathlib import Path

from mindspore import nn

from src.checkpoint import Position, checkpoint_name, numbered_checkpoints, save_checkpoint

BEST_CHECKPOINT = "Xception-best.ckpt"
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
    """

    def __init__(self, folder: Path, network: nn.Cell, optimizer: nn.Optimizer, every: int, keep: int, epochs: int):
        self._folder = folder
        self._state = (network, optimizer)
        self._every = every
        self._keep = keep
        self._epochs = epochs

    def save_if_due(self, position: Position) -> None:
        """Save the checkpoint of a position at the end of an epoch, unless it is one that is passed over."""
        if position.epoch % self._every == 0 or position.epoch == self._epochs:
            self.save(position)

    def save(self, position: Position) -> Path:
        """Save the checkpoint of a position and return its file."""
        saved = self._folder / checkpoint_name(RANK, position)
        save_checkpoint(saved, *self._state, position)
        # Only now may an old one go: a failed save leaves all there were.
        for path in numbered_checkpoints(self._folder, RANK)[: -self._keep]:
            if path != saved:
                path.unlink(missing_ok=True)
        return saved

    def save_best(self, position: Position) -> None:
        """Save the best checkpoint so far."""
        save_checkpoint(self._folder / BEST_CHECKPOINT, *self._state, position)
