"""Where a training starts: at the beginning, at a given checkpoint, or at the newest good one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.checkpoints.file import DamagedCheckpoint
from src.checkpoints.names import BEST_CHECKPOINT, numbered_checkpoints
from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState, load_training, set_global_step
from src.model_utils.config import Config, ConfigError
from src.model_utils.local_adapter import Group, gather_from_ranks

AUTO = "auto"


@dataclass(frozen=True)
class Start:
    """Where a training starts.

    Args:
        position: How far it is already.
        checkpoint: The file whose training goes on; None for a new training, also one from given weights.
    """

    position: Position
    checkpoint: Path | None = None


def restore(config: Config, state: TrainingState, steps_per_epoch: int, folder: Path, group: Group) -> Start:
    """Load the checkpoint to resume from, if any, and find where training starts.

    Args:
        config: With `resume`, `finish_epoch` and `epoch_size`.
        state: Receives weights and moving average, momentum and step.
        steps_per_epoch: Steps of an epoch of this run.
        folder: Where `resume: auto` looks for checkpoints.
        group: The processes that train together, all of which must start at the same place.

    Returns:
        The start; its epoch equals `epoch_size` where `auto` finds the training finished.

    Raises:
        ValueError: If the checkpoint is damaged or does not fit, or nothing is left to train.
    """
    if config.finish_epoch and not config.resume:
        raise ConfigError(f"finish_epoch is {config.finish_epoch}, but no checkpoint is given: add --resume CKPT")
    start = Start(Position(config.finish_epoch, 0, steps_per_epoch))
    if config.resume == AUTO:
        start = _resume_newest(config, state, steps_per_epoch, folder)
    elif config.resume:
        start = _resume(config, state, steps_per_epoch, Path(config.resume))
    if start.position.epoch >= config.epoch_size and config.resume != AUTO:
        raise ConfigError(
            f"nothing to train: {start.position.epoch} of {config.epoch_size} epochs are done; raise --epoch_size to "
            f"go on"
        )
    _check_same_start(start.position, group)
    set_global_step(state.optimizer, start.position.global_step)
    return start


def _resume_newest(config: Config, state: TrainingState, steps_per_epoch: int, folder: Path) -> Start:
    """Resume the newest checkpoint of a folder that is whole, and name those that are not."""
    best = folder / BEST_CHECKPOINT
    candidates = [*reversed(numbered_checkpoints(folder)), *([best] if best.exists() else [])]
    if not candidates:
        print(f"no checkpoint in {folder} yet: training starts at the beginning", flush=True)
        return Start(Position(config.finish_epoch, 0, steps_per_epoch))
    for path in candidates:
        try:
            return _resume(config, state, steps_per_epoch, path, whole=True)
        except DamagedCheckpoint as error:
            print(f"skipping {path}: {error}", flush=True)
    raise ValueError(
        f"none of the {len(candidates)} checkpoints in {folder} can be read: remove them to start at the beginning, "
        f"or name another one with --resume=FILE"
    )


def _resume(config: Config, state: TrainingState, steps_per_epoch: int, path: Path, whole: bool = False) -> Start:
    """Load a checkpoint and say how exactly training goes on from it."""
    position, has_momentum = load_training(state, path, whole)
    if position and position.steps_per_epoch == steps_per_epoch:
        print(f"resuming {path} after epoch {position.epoch}, step {position.step}", flush=True)
        return Start(position, path)
    if position:
        print(
            f"resuming {path} after epoch {position.epoch}, not exactly: it was written at "
            f"{position.steps_per_epoch} steps an epoch, this run has {steps_per_epoch}",
            flush=True,
        )
        return Start(replace(position, step=0, steps_per_epoch=steps_per_epoch), path)
    what = "weights and momentum" if has_momentum else "weights only"
    print(
        f"warm start from {path}: it holds {what} and no position; training starts after epoch "
        f"{config.finish_epoch} (--finish_epoch)",
        flush=True,
    )
    return Start(Position(config.finish_epoch, 0, steps_per_epoch), path if config.finish_epoch else None)


def _check_same_start(position: Position, group: Group) -> None:
    """Raise on every rank if one of them starts elsewhere: its machine does not see the checkpoints of the first."""
    steps = gather_from_ranks(np.array(position.global_step, np.int64), group)
    different = np.flatnonzero(steps != steps[0])
    if different.size:
        raise ValueError(
            f"rank {different[0]} would start after step {steps[different[0]]}, rank 0 after step {steps[0]}: all "
            f"ranks need the same checkpoint, so put --save_checkpoint_path on a disk that all machines share"
        )
