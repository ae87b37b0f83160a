"""A training that goes on for some epochs more: as its checkpoint's schedule ends, the learning rate stays."""

from __future__ import annotations

from src.checkpoints.record import read_position
from src.metadata.metadata import Metadata
from src.model_utils.config import Config, ConfigError
from src.training.origin import AUTO, Origin

_RATES = ("warmup_epochs", "lr_decay_mode", "lr_init", "lr_max", "lr_end")


def add_epochs(config: Config, origin: Origin | None) -> Config:
    """Make `more_epochs` the epochs of the whole training, and keep the schedule of the checkpoint up to its end.

    Args:
        config: The configuration; rates that a person has given stay.
        origin: The checkpoint that training begins with; None for random weights.

    Returns:
        With `epoch_size` and `cooldown_epochs` of the whole training, and no `more_epochs`: these settings go on with
        its checkpoints as others do.

    Raises:
        ConfigError: If no training goes on, or the checkpoint's has as many epochs left.
    """
    if not config.more_epochs:
        return config
    if origin is None or not origin.is_resumed:
        todo = "no checkpoint is there yet, leave it out" if config.resume == AUTO else "add --resume=auto or a file"
        raise ConfigError(f"more_epochs is {config.more_epochs}, but no training goes on: {todo}")
    if config.max_steps:
        raise ConfigError(
            f"max_steps is {config.max_steps} and more_epochs {config.more_epochs}: leave one of them out"
        )
    position = read_position(origin.path)
    if position is None:
        raise ConfigError(
            f"more_epochs is {config.more_epochs}, but {origin.path} does not record how many are done: give "
            "--finish_epoch and --epoch_size"
        )
    recipe = (origin.metadata or Metadata()).provenance.recipe
    known = {name: recipe[name] for name in _RATES if name in recipe and not config.is_given(name)}
    before = _epochs(recipe.get("epoch_size"), config.epoch_size)
    rising_and_falling = before - _epochs(recipe.get("cooldown_epochs", 0), config.cooldown_epochs)
    epochs = position.epoch + config.more_epochs
    if epochs < before:
        raise ConfigError(
            f"more_epochs is {config.more_epochs}, but {origin.path} has finished {position.epoch} of {before} epochs: "
            "leave it out to finish them, or end earlier by --epoch_size"
        )
    return config.replace(
        **known, epoch_size=epochs, cooldown_epochs=max(0, epochs - rising_and_falling), more_epochs=0
    )


def _epochs(recorded: object, otherwise: int) -> int:
    """Return a number of epochs as a checkpoint records it; recipes of other programs may hold anything."""
    return recorded if isinstance(recorded, int) and not isinstance(recorded, bool) else otherwise
