"""Whether a training goes on from a checkpoint or begins anew with its weights, where the checkpoint decides it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.checkpoints.record import read_position, recorded_checkpoints
from src.checkpoints.weights import read_description
from src.metadata.class_list import describe_difference
from src.model_utils.config import Config, ConfigError

_AUTO = "auto"


def choose_beginning(config: Config, folder: Path, class_names: Sequence[str]) -> tuple[Config, str]:
    """Make `initial_checkpoint` either `resume` or `pretrained`.

    Args:
        config: With `initial_checkpoint`, and `resume: auto` at most: what that finds comes first.
        folder: Where `resume: auto` looks.
        class_names: Names of the classes to train.

    Returns:
        The configuration, and a line that says what was chosen and why; empty where there was nothing to choose.

    Raises:
        ConfigError: If another checkpoint is named besides.
        ValueError: If the file is missing or damaged.
    """
    path = Path(config.initial_checkpoint)
    if not config.initial_checkpoint or (config.resume == _AUTO and recorded_checkpoints(folder)):
        return config, ""
    other = config.pretrained or (config.resume if config.resume != _AUTO else "")
    if other:
        raise ConfigError(f"both initial_checkpoint ({path}) and {other} are to begin with: leave one of them out")
    reason = _why_anew(config, path, class_names)
    if reason:
        return config.replace(pretrained=str(path)), f"{path} {reason}: a new training begins with its weights"
    position = read_position(path)
    how_far = f"after epoch {position.epoch} of {config.epoch_size}" if position else "as finish_epoch says"
    note = f"{path} is of an unfinished training, which goes on {how_far}; --pretrained={path} would begin a new one"
    return config.replace(resume=str(path)), note


def _why_anew(config: Config, path: Path, class_names: Sequence[str]) -> str:
    """Return why a checkpoint's training does not go on; empty if it does."""
    description = read_description(path)
    names = description.metadata.class_names if description.metadata else ()
    if description.num_classes not in (None, len(class_names)) or (names and describe_difference(names, class_names)):
        return "has other classes than the images"
    if config.finish_epoch:
        return ""
    position = read_position(path)
    if position is None:
        return "records no position in a training"
    if position.epoch >= config.epoch_size and not config.more_epochs:
        return f"is of a finished training, {position.epoch} of {config.epoch_size} epochs"
    return ""
