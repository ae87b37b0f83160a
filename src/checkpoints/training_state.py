"""Checkpoints of a training: weights with momentum, moving average and position, saved and loaded."""

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
from src.checkpoints.record import entries_of, position_of
from src.metadata.metadata import Metadata

_MOMENT = "moments."  # how the optimizer names its momentum


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint of a training holds.

    Args:
        network: The network that is trained.
        optimizer: Its optimizer.
        averaged: The moving average of the network; None where there is none.
        metadata: What its weights mean; None for nothing to tell.
    """

    network: nn.Cell
    optimizer: nn.Optimizer
    averaged: nn.Cell | None = None
    metadata: Metadata | None = None

    @property
    def networks(self) -> list[nn.Cell]:
        """The network, and its average if there is one."""
        return [self.network] if self.averaged is None else [self.network, self.averaged]


def save_training(path: Path, state: TrainingState, position: Position | None = None) -> None:
    """Write a checkpoint with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        state: Weights and batch-norm statistics of the network and its average, and the momentum, are written.
        position: How far training is.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    parameters = {**weights_of(state.network), **_moments(state), **_averages(state)}
    first = entries_of(position) if position else {}
    write_checkpoint(path, parameters.values(), {**first, **metadata_entry(state.network, state.metadata)})


def load_training(state: TrainingState, path: str | Path, whole: bool = False) -> tuple[Position | None, bool]:
    """Load what training needs to go on: weights, and as far as they are there momentum and position.

    Args:
        state: The network receives the weights and the way of padding, the optimizer the momentum, the average the
            moving average of the weights, or where there is none the weights.
        path: A checkpoint.
        whole: Whether to take it only with its checksum, which a file that was cut lacks.

    Returns:
        The position, None where the checkpoint does not record it, and whether it holds the momentum.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: As load_weights does, or if the momentum does not fit. The state is unchanged after either error.
    """
    path = Path(path)
    stored = read_checkpoint(path, whole)
    weights = weights_of(state.network)
    check_weights(weights, stored, path)
    metadata = stored_metadata(stored, path)
    position = _position(stored, path)
    moments = _held(_moments(state), _MOMENT, stored, path)
    averages = _held(_averages(state), AVERAGE, stored, path) if state.averaged is not None else {}
    # Only now that all is known to fit may anything change.
    for network in state.networks:
        set_padding(network, metadata)
    assign({**weights, **moments, **averages}, stored)
    if state.averaged is not None and not averages:
        copy_weights(state.network, state.averaged)
    return position, bool(moments)


def set_global_step(optimizer: nn.Optimizer, step: int) -> None:
    """Set the number of finished steps, from which the optimizer finds its learning rate."""
    optimizer.global_step.set_data(Tensor([step], optimizer.global_step.dtype))


def _held(
    wanted: Mapping[str, Parameter], prefix: str, stored: Mapping[str, Any], path: Path
) -> Mapping[str, Parameter]:
    """Return the wanted parameters if a checkpoint holds any of their kind, none if not; raise if it holds others."""
    names = [name for name in stored if name.startswith(prefix)]
    if not names:
        return {}
    check_fit(wanted, stored, names, path)
    return wanted


def _position(stored: Mapping[str, Any], path: Path) -> Position | None:
    numbers = {
        name: value.asnumpy().item()
        for name, value in stored.items()
        if name in entries_of(Position()) and isinstance(value, Parameter) and value.size == 1
    }
    try:
        return position_of(numbers)
    except ValueError as error:
        raise DamagedCheckpoint(f"cannot read checkpoint {path}: {error}; use another one") from error


def _moments(state: TrainingState) -> dict[str, Parameter]:
    return {moment.name: moment for moment in state.optimizer.get_parameters() if moment.name.startswith(_MOMENT)}


def _averages(state: TrainingState) -> dict[str, Parameter]:
    averages = state.averaged.get_parameters() if state.averaged is not None else ()
    return {average.name: average for average in averages}
