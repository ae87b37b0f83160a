"""Where a training starts: at the beginning, or where the one that it goes on with was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState, load_training, other_optimizer, set_global_step
from src.model_utils.config import Config, ConfigError
from src.model_utils.local_adapter import Group, gather_from_ranks
from src.training.origin import AUTO, Origin


@dataclass(frozen=True)
class Start:
    """Where a training starts.

    Args:
        position: How far it is already.
        checkpoint: The file whose training goes on; None for a new training, also one from given weights.
    """

    position: Position
    checkpoint: Path | None = None


def restore(config: Config, state: TrainingState, steps_per_epoch: int, origin: Origin | None, group: Group) -> Start:
    """Load the checkpoint to resume from, if any, and find where training starts.

    Args:
        config: With `resume`, `finish_epoch` and `epoch_size`.
        state: Receives weights and moving average, the state of optimizer and loss scale, and step.
        steps_per_epoch: Steps of an epoch of this run.
        origin: The checkpoint that training begins with; None for random weights.
        group: The processes that train together, all of which must start at the same place.

    Returns:
        The start; its epoch is not below `epoch_size` where nothing is left to train.

    Raises:
        ConfigError: If its training had another optimizer, or options do not fit each other.
        ValueError: If the checkpoint is damaged or does not fit.
    """
    if config.finish_epoch and not config.resume:
        raise ConfigError(f"finish_epoch is {config.finish_epoch}, but no checkpoint is given: add --resume CKPT")
    start = Start(Position(config.finish_epoch, 0, steps_per_epoch))
    if origin and origin.is_resumed:
        _check_optimizer(config, origin)
        start = _resume(config, state, steps_per_epoch, origin.path)
    _check_same_start(start.position, group)
    set_global_step(state.optimizer, start.position.global_step)
    return start


def say_done(config: Config, start: Start, *, owes: bool) -> None:
    """Say that nothing is left to train, which only `auto` may find.

    Args:
        config: With `resume` and `epoch_size`.
        start: Where the training would go on.
        owes: Whether a validation is wanted that its folder does not have.

    Raises:
        ConfigError: If a checkpoint is named.
    """
    if config.resume != AUTO:
        done = f"{start.position.epoch} of {config.epoch_size} epochs are done; raise --epoch_size"
        if config.max_steps:
            done = f"{start.position.global_step} of {config.max_steps} steps are done; raise --max_steps"
        validate = f", or validate it with eval.py --checkpoint_path={start.checkpoint}" if owes else ""
        raise ConfigError(f"nothing to train: {done} to go on{validate}")
    all_of_them = f"{config.max_steps} steps" if config.max_steps else f"{config.epoch_size} epochs"
    print(f"all {all_of_them} are done already", flush=True)


def _resume(config: Config, state: TrainingState, steps_per_epoch: int, path: Path) -> Start:
    """Load a checkpoint and say how exactly training goes on from it."""
    position, has_state = load_training(state, path, whole=config.resume == AUTO)
    if position and position.steps_per_epoch == steps_per_epoch:
        print(f"resuming {path} after epoch {position.epoch}, step {position.step}", flush=True)
        return Start(position, path)
    if position:
        here = position.in_steps_of(steps_per_epoch)
        print(
            f"resuming {path} after epoch {here.epoch}, step {here.step}, not exactly: it was written after step "
            f"{position.step} of {position.steps_per_epoch}, this run has {steps_per_epoch} steps an epoch",
            flush=True,
        )
        return Start(here, path)
    what = "weights and the optimizer's state" if has_state else "weights only"
    print(
        f"warm start from {path}: it holds {what} and no position; training starts after epoch "
        f"{config.finish_epoch} (--finish_epoch)",
        flush=True,
    )
    return Start(Position(config.finish_epoch, 0, steps_per_epoch), path if config.finish_epoch else None)


def _check_optimizer(config: Config, origin: Origin) -> None:
    """Raise a ConfigError if a checkpoint tells of another optimizer, also one that keeps the same of each weight."""
    recipe = origin.metadata.provenance.recipe if origin.metadata else {}
    # Those of earlier versions do not tell: there was one optimizer.
    before = recipe.get("optimizer", "momentum" if "momentum" in recipe else config.optimizer)
    if before != config.optimizer:
        raise ConfigError(f"optimizer is {config.optimizer}, but {other_optimizer(origin.path, str(before))}")


def _check_same_start(position: Position, group: Group) -> None:
    """Raise on every rank if one of them starts elsewhere: its machine does not see the checkpoints of the first."""
    steps = gather_from_ranks(np.array(position.global_step, np.int64), group)
    different = np.flatnonzero(steps != steps[0])
    if different.size:
        raise ValueError(
            f"rank {different[0]} would start after step {steps[different[0]]}, rank 0 after step {steps[0]}: all "
            f"ranks need the same checkpoint, so put --save_checkpoint_path on a disk that all machines share"
        )
