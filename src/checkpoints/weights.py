"""Checkpoints of a network and its training, which are never loaded where they do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from src.checkpoints.file import read_checkpoint, write_checkpoint
from src.training.weight_average import PREFIX, copy_weights
from src.Xception import Xception, xception

_MAX_NAMES = 10
_POOL_PADDING = "pool_padding"  # an entry that only networks with another padding than "same" have
# What training writes beside the weights: here, in MindSpore's own ModelCheckpoint, and under dynamic loss scaling.
_TRAINING_STATE = re.compile(
    r"(moments|accum|moment1|moment2|ema)\..*|(global_step|learning_rate|momentum|loss_scale|scale_sense|epoch_num|step_num"
    r"|steps_per_epoch|best_top_1|current_iterator_step|last_overflow_iterator_step|random_op|_random_op_.*"
    r"|beta1_power|beta2_power|weight_decay|pool_padding)"
)


@dataclass(frozen=True)
class Position:
    """How far training is.

    Args:
        epoch: Finished epochs, 0 or more.
        step: Finished steps of the epoch after these, 0 or more.
        steps_per_epoch: Steps of a whole epoch, 1 or more.
        best_top_1: Best validation top-1 so far, 0 to 1, or -1 before the first validation.
    """

    epoch: int = 0
    step: int = 0
    steps_per_epoch: int = 1
    best_top_1: float = -1.0

    @property
    def global_step(self) -> int:
        """Finished steps in all."""
        return self.epoch * self.steps_per_epoch + self.step


def checkpoint_name(rank: int, position: Position) -> str:
    """Return the file name `Xception-rank<r>-<epoch>_<step>.ckpt`; epochs count from 1, as MindSpore writes them."""
    if position.step:
        return f"Xception-rank{rank}-{position.epoch + 1}_{position.step}.ckpt"
    return f"Xception-rank{rank}-{position.epoch}_{position.steps_per_epoch}.ckpt"


def numbered_checkpoints(folder: Path, rank: int) -> list[Path]:
    """List the checkpoints that `checkpoint_name` names.

    Args:
        folder: Where to look; need not exist.
        rank: Rank of the process that wrote them.

    Returns:
        The files, oldest training position first.
    """
    pattern = re.compile(rf"Xception-rank{rank}-(\d+)_(\d+)\.ckpt")
    found = [(match, path) for path in folder.glob("*.ckpt") if (match := pattern.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda item: (int(item[0][1]), int(item[0][2])))]


def save_checkpoint(
    path: Path,
    network: nn.Cell,
    optimizer: nn.Optimizer | None = None,
    position: Position | None = None,
    averaged: nn.Cell | None = None,
) -> None:
    """Write a checkpoint with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        network: Its weights and batch-norm statistics are written.
        optimizer: Its momentum is written too, so that training can go on from the file.
        position: How far training is.
        averaged: The moving average of the network, whose weights and statistics are written too.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    parameters = [*_weights(network).values()]
    if optimizer is not None:
        parameters += _moments(optimizer)
    if averaged is not None:
        parameters += averaged.get_parameters()
    entries = [{"name": parameter.name, "data": parameter} for parameter in parameters]
    appended: dict[str, int | float | str] = {}
    if position is not None:
        appended = {
            "epoch_num": position.epoch,
            "step_num": position.step,
            "steps_per_epoch": position.steps_per_epoch,
            "best_top_1": position.best_top_1,
        }
    if isinstance(network, Xception) and network.pool_padding != "same":
        appended[_POOL_PADDING] = network.pool_padding
    write_checkpoint(path, entries, appended)


def load_network(path: str | Path) -> Xception:
    """Return the network that a checkpoint holds, with its weights or their moving average.

    Args:
        path: A checkpoint of this project, or of the MindSpore model zoo's Xception, of any number of classes.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or no checkpoint of Xception.
    """
    stored = _averages_or_weights(read_checkpoint(Path(path)))
    shape = _shape(stored.get("fc.bias", ""))
    if len(shape) != 1:
        raise ValueError(f"checkpoint {path} is none of Xception: it has no fc.bias, one number a class")
    network = xception(shape[0])
    _load(network, _weights(network), stored, Path(path))
    return network


def load_weights(network: nn.Cell, path: str | Path) -> None:
    """Load the weights of a checkpoint into a network they fit exactly; their moving average where it holds one.

    Args:
        network: Receives the weights, in its own types, and the way of padding that they were trained with; so load
            before the network is called for the first time.
        path: A checkpoint of this project, or of the MindSpore model zoo's Xception.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or names or shapes differ. The network is unchanged after either error.
    """
    _load(network, _weights(network), _averages_or_weights(read_checkpoint(Path(path))), Path(path))


def load_pretrained(network: nn.Cell, path: str | Path, head: str) -> bool:
    """Load the weights of a checkpoint for a new training, without the classifier where that has another size.

    Args:
        network: Receives the weights.
        path: A checkpoint of any number of classes, or without a classifier.
        head: How the names of the classifier's parameters begin.

    Returns:
        Whether the classifier was left as it is.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing or anything else does not fit. The network is unchanged after either error.
    """
    path = Path(path)
    stored = _averages_or_weights(read_checkpoint(path))
    weights = _weights(network)
    fits = all(_shape(stored.get(name, "")) == _shape(weights[name]) for name in weights if name.startswith(head))
    if not fits:
        stored = {name: value for name, value in stored.items() if not name.startswith(head)}
        weights = {name: value for name, value in weights.items() if not name.startswith(head)}
    _load(network, weights, stored, path)
    return not fits


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], str]:
    """Read the weights of a checkpoint of any network.

    Args:
        path: A checkpoint.

    Returns:
        The weights by name, without what training writes beside them, and the pool padding of an Xception.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    stored = _averages_or_weights(read_checkpoint(Path(path)))
    weights = {name: value.asnumpy() for name, value in stored.items() if not _TRAINING_STATE.fullmatch(name)}
    return weights, stored.get(_POOL_PADDING, "same")


def load_training(
    network: nn.Cell,
    optimizer: nn.Optimizer,
    path: str | Path,
    whole: bool = False,
    averaged: nn.Cell | None = None,
) -> tuple[Position | None, bool]:
    """Load what training needs to go on: weights, and as far as they are there momentum and position.

    Args:
        network: Receives the weights and the way of padding.
        optimizer: Receives the momentum.
        path: A checkpoint.
        whole: Whether to take it only with its checksum, which a file that was cut lacks.
        averaged: Receives the moving average of the weights, or where there is none the weights.

    Returns:
        The position, None where the checkpoint does not record it, and whether it holds the momentum.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: As load_weights does, or if the momentum does not fit.
    """
    path = Path(path)
    stored = read_checkpoint(path, whole)
    moments = {moment.name: moment for moment in _moments(optimizer)}
    stored_moments = [name for name in stored if name.startswith("moments.")]
    stored_averages = [name for name in stored if name.startswith(PREFIX)]
    averages = {average.name: average for average in averaged.get_parameters()} if averaged else {}
    weights = _weights(network)
    _check_weights(weights, stored, path)
    if stored_moments:
        _check_fit(stored, moments, stored_moments, path)
    if averages and stored_averages:
        _check_fit(stored, averages, stored_averages, path)
    _take(network, weights, stored)
    if stored_moments:
        _assign(moments, stored)
    if averages and stored_averages:
        _take(averaged, averages, stored)
    elif averaged:
        if isinstance(averaged, Xception):
            averaged.set_pool_padding(network.pool_padding)
        copy_weights(network, averaged)
    if not {"epoch_num", "step_num", "steps_per_epoch"} <= stored.keys():
        return None, bool(stored_moments)
    epoch, step, steps = (stored[name].asnumpy().item() for name in ("epoch_num", "step_num", "steps_per_epoch"))
    best = stored["best_top_1"].asnumpy().item() if "best_top_1" in stored else -1.0
    return Position(epoch, step, steps, best), bool(stored_moments)


def set_global_step(optimizer: nn.Optimizer, step: int) -> None:
    """Set the number of finished steps, from which the optimizer finds its learning rate."""
    optimizer.global_step.set_data(Tensor([step], optimizer.global_step.dtype))


def _averages_or_weights(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint holds with the moving averages, if there are any, in the place of the weights."""
    averages = {name.removeprefix(PREFIX): value for name, value in stored.items() if name.startswith(PREFIX)}
    return {**stored, **averages}


def _load(network: nn.Cell, weights: Mapping[str, Parameter], stored: Mapping[str, Any], path: Path) -> None:
    """Check that a checkpoint fits the weights, all or most of a network's, and give the network what it holds."""
    _check_weights(weights, stored, path)
    _take(network, weights, stored)


def _check_weights(weights: Mapping[str, Parameter], stored: Mapping[str, Any], path: Path) -> None:
    """Raise if a checkpoint does not fit the weights, all or most of a network's."""
    _check_fit(stored, weights, [name for name in stored if not _TRAINING_STATE.fullmatch(name)], path)


def _take(network: nn.Cell, weights: Mapping[str, Parameter], stored: Mapping[str, Any]) -> None:
    """Give the network the stored way of padding, and the weights their stored values."""
    if isinstance(network, Xception):
        network.set_pool_padding(stored.get(_POOL_PADDING, "same"))
    _assign(weights, stored)


def _check_fit(stored: Mapping[str, Any], wanted: Mapping[str, Parameter], relevant: Iterable[str], path: Path) -> None:
    """Raise a list of what is missing, unexpected or of another shape in a checkpoint."""
    missing = [name for name in wanted if name not in stored]
    unexpected = [name for name in relevant if name not in wanted]
    misshaped = [name for name in wanted if name in stored and _shape(stored[name]) != _shape(wanted[name])]
    if not (missing or unexpected or misshaped):
        return
    shapes = [f"{name} {_shape(stored[name])} instead of {_shape(wanted[name])}" for name in misshaped]
    lists = (("missing", missing), ("unexpected", unexpected), ("wrong shape", shapes))
    problems = "; ".join(f"{what}: {_first(names)}" for what, names in lists if names)
    hint = ""
    if set(misshaped) == {"fc.weight", "fc.bias"} and not (missing or unexpected):
        hint = f"; it has {_shape(stored['fc.bias'])[0]} classes: use --num_classes={_shape(stored['fc.bias'])[0]}"
    raise ValueError(f"checkpoint {path} does not fit the network: {problems}{hint}")


def _first(names: list[str]) -> str:
    """Return the first names, and the number of the rest."""
    rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + rest


def _assign(wanted: Mapping[str, Parameter], stored: Mapping[str, Parameter]) -> None:
    for name, parameter in wanted.items():
        value = stored[name].asnumpy()
        parameter.set_data(Tensor(value.astype(np.float32), parameter.dtype))


def _shape(parameter: Parameter | str) -> tuple[int, ...]:
    # load_checkpoint returns text as str.
    return tuple(parameter.shape) if isinstance(parameter, Parameter) else ()


def _weights(network: nn.Cell) -> dict[str, Parameter]:
    """Return what belongs into a checkpoint: all parameters but those of the dropout, which has none of its own."""
    return {
        parameter.name: parameter for parameter in network.get_parameters() if not parameter.name.startswith("dropout.")
    }


def _moments(optimizer: nn.Optimizer) -> list[Parameter]:
    return [parameter for parameter in optimizer.get_parameters() if parameter.name.startswith("moments.")]
