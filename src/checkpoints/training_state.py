"""Checkpoints of a training: weights with the state of the optimizer, moving average and position, saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from src.checkpoints.file import DamagedCheckpoint, read_checkpoint, write_checkpoint
from src.checkpoints.parameters import (
    AVERAGE,
    assign,
    check_fit,
    check_weights,
    copy_weights,
    metadata_entry,
    set_padding,
    stored_metadata,
    weights_of,
)
from src.checkpoints.position import Position
from src.checkpoints.record import ENTRIES, entries_of, position_of
from src.metadata.metadata import Metadata

# How the names begin of what MindSpore's optimizers keep of each weight, and the options that name these.
_STATES = {
    ("moments.",): "momentum or nesterov",
    ("adam_m.", "adam_v."): "adamw",
    ("lamb_m.", "lamb_v."): "lamb",
}
_OF_STATE = tuple(prefix for prefixes in _STATES for prefix in prefixes)


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint of a training holds.

    Args:
        network: The network that is trained.
        optimizer: Its optimizer.
        averaged: The moving average of the network; None where there is none.
        metadata: What its weights mean; None for nothing to tell.
        scaling: The loss scale that follows the gradients; None for a fixed one.
    """

    network: nn.Cell
    optimizer: nn.Optimizer
    averaged: nn.Cell | None = None
    metadata: Metadata | None = None
    scaling: nn.Cell | None = None

    @property
    def networks(self) -> list[nn.Cell]:
        """The network, and its average if there is one."""
        return [self.network] if self.averaged is None else [self.network, self.averaged]


def save_training(path: Path, state: TrainingState, position: Position | None = None) -> None:
    """Write a checkpoint with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        state: Weights and batch-norm statistics of the network and its average, and the state of the optimizer and of
            the loss scale, are written.
        position: How far training is.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    parameters = {**weights_of(state.network), **_moments(state), **_averages(state), **_scaling(state)}
    first = entries_of(position) if position else {}
    write_checkpoint(path, parameters.values(), {**first, **metadata_entry(state.network, state.metadata)})


def load_training(state: TrainingState, path: str | Path, whole: bool = False) -> tuple[Position | None, bool]:
    """Load what training needs to go on: weights, and as far as they are there the optimizer's state and position.

    Args:
        state: The network receives the weights and the way of padding, optimizer and loss scale their state, the
            average the moving average of the weights, or where there is none the weights.
        path: A checkpoint.
        whole: Whether to take it only with its checksum, which a file that was cut lacks.

    Returns:
        The position, None where the checkpoint does not record it, and whether it holds the optimizer's state.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: As load_weights does, or if it holds another optimizer's state. Nothing is changed after an error.
    """
    path = Path(path)
    stored = read_checkpoint(path, whole)
    weights = weights_of(state.network)
    check_weights(weights, stored, path)
    metadata = stored_metadata(stored, path)
    position = _position(stored, path)
    _check_optimizer(state, stored, path)
    moments = _held(_moments(state), _OF_STATE, stored, path)
    averages = _held(_averages(state), (AVERAGE,), stored, path) if state.averaged is not None else {}
    scaling = {name: value for name, value in _scaling(state).items() if name in stored}
    # Only now that all is known to fit may anything change.
    for network in state.networks:
        set_padding(network, metadata)
    assign({**weights, **moments, **averages, **scaling}, stored)
    if state.averaged is not None and not averages:
        copy_weights(state.network, state.averaged)
    return position, bool(moments)


def set_global_step(optimizer: nn.Optimizer, step: int) -> None:
    """Set the number of finished steps, from which the optimizer finds its learning rate."""
    optimizer.global_step.set_data(Tensor([step], optimizer.global_step.dtype))


def _held(
    wanted: Mapping[str, Parameter], prefixes: tuple[str, ...], stored: Mapping[str, Any], path: Path
) -> Mapping[str, Parameter]:
    """Return the wanted parameters if a checkpoint holds any of their kind, none if not; raise if it holds others."""
    names = [name for name in stored if name.startswith(prefixes)]
    if not names:
        return {}
    check_fit(wanted, stored, names, path)
    return wanted


def _position(stored: Mapping[str, Any], path: Path) -> Position | None:
    numbers = {
        name: value.asnumpy().item()
        for name, value in stored.items()
        if name in ENTRIES and isinstance(value, Parameter) and value.size == 1
    }
    try:
        return position_of(numbers)
    except ValueError as error:
        raise DamagedCheckpoint(f"cannot read checkpoint {path}: {error}; use another one") from error


def other_optimizer(path: Path, before: str) -> str:
    """Return the message for a checkpoint with the state of another optimizer, by the options that name it."""
    return (
        f"{path} was trained with the optimizer {before}: go on with that, or start a new training from its weights by "
        f"--pretrained={path}"
    )


def _check_optimizer(state: TrainingState, stored: Mapping[str, Any], path: Path) -> None:
    """Raise a ValueError if a checkpoint holds the state of another kind of optimizer."""
    own = tuple(_moments(state))
    for prefixes, names in _STATES.items():
        if any(name.startswith(prefixes) for name in stored) and not any(name.startswith(prefixes) for name in own):
            raise ValueError(other_optimizer(path, names))


def _moments(state: TrainingState) -> dict[str, Parameter]:
    return {moment.name: moment for moment in state.optimizer.get_parameters() if moment.name.startswith(_OF_STATE)}


def _scaling(state: TrainingState) -> dict[str, Parameter]:
    return {} if state.scaling is None else {value.name: value for value in state.scaling.get_parameters()}


def _averages(state: TrainingState) -> dict[str, Parameter]:
    averages = state.averaged.get_parameters() if state.averaged is not None else ()
    return {average.name: average for average in averages}
