"""Checkpoints: written whole, read with a checksum, and never loaded where they do not fit."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn

from src.files import replace_file, temporary_path
from src.logs import silenced_logging
from src.weight_average import PREFIX, copy_weights

_MAX_NAMES = 10
_CHECKSUM, _CHECKSUM_BYTES = b"crc_num", 17  # what save_checkpoint(crc_check=True) ends a file with
# What training writes beside the weights: here, in MindSpore's own ModelCheckpoint, and under dynamic loss scaling.
_TRAINING_STATE = re.compile(
    r"(moments|accum|moment1|moment2|ema)\..*|(global_step|learning_rate|momentum|loss_scale|scale_sense|epoch_num|step_num"
    r"|steps_per_epoch|best_top_1|current_iterator_step|last_overflow_iterator_step|random_op|_random_op_.*"
    r"|beta1_power|beta2_power|weight_decay)"
)


class DamagedCheckpoint(ValueError):
    """A checkpoint file that cannot be read, as opposed to one that does not fit."""


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
    progress = {}
    if position is not None:
        progress = {
            "epoch_num": position.epoch,
            "step_num": position.step,
            "steps_per_epoch": position.steps_per_epoch,
            "best_top_1": position.best_top_1,
        }
    # A folder of its own takes whatever files MindSpore makes on its way.
    temporary = temporary_path(path)
    temporary.mkdir(parents=True)
    try:
        _save(entries, temporary / "new.ckpt", progress)
        replace_file(temporary / "new.ckpt", path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_weights(network: nn.Cell, path: str | Path) -> None:
    """Load the weights of a checkpoint into a network they fit exactly; their moving average where it holds one.

    Args:
        network: Receives the weights, in its own types.
        path: A checkpoint of this project, or of the MindSpore model zoo's Xception.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or names or shapes differ. The network is unchanged after either error.
    """
    stored = _read(Path(path))
    averages = {name.removeprefix(PREFIX): stored[name] for name in stored if name.startswith(PREFIX)}
    stored = averages or stored
    _assign(_check_weights(network, stored, Path(path)), stored)


def load_training(
    network: nn.Cell,
    optimizer: nn.Optimizer,
    path: str | Path,
    whole: bool = False,
    averaged: nn.Cell | None = None,
) -> tuple[Position | None, bool]:
    """Load what training needs to go on: weights, and as far as they are there momentum and position.

    Args:
        network: Receives the weights.
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
    stored = _read(path, whole)
    moments = {moment.name: moment for moment in _moments(optimizer)}
    stored_moments = [name for name in stored if name.startswith("moments.")]
    stored_averages = [name for name in stored if name.startswith(PREFIX)]
    averages = {average.name: average for average in averaged.get_parameters()} if averaged else {}
    weights = _check_weights(network, stored, path)
    if stored_moments:
        _check_fit(stored, moments, stored_moments, path)
    if averages and stored_averages:
        _check_fit(stored, averages, stored_averages, path)
    _assign(weights, stored)
    if stored_moments:
        _assign(moments, stored)
    if averages and stored_averages:
        _assign(averages, stored)
    elif averaged:
        copy_weights(network, averaged)
    if not {"epoch_num", "step_num", "steps_per_epoch"} <= stored.keys():
        return None, bool(stored_moments)
    epoch, step, steps = (stored[name].asnumpy().item() for name in ("epoch_num", "step_num", "steps_per_epoch"))
    best = stored["best_top_1"].asnumpy().item() if "best_top_1" in stored else -1.0
    return Position(epoch, step, steps, best), bool(stored_moments)


def set_global_step(optimizer: nn.Optimizer, step: int) -> None:
    """Set the number of finished steps, from which the optimizer finds its learning rate."""
    optimizer.global_step.set_data(Tensor([step], optimizer.global_step.dtype))


def _save(entries: list[dict], path: Path, progress: dict[str, int | float]) -> None:
    try:
        with silenced_logging():
            ms.save_checkpoint(entries, str(path), append_dict=progress, crc_check=True)
        path.chmod(0o644)
    except OSError:
        raise
    except RuntimeError as error:
        # MindSpore wraps what the system said.
        cause = error.__cause__ or error.__context__
        raise cause if isinstance(cause, OSError) else OSError(f"cannot write {path}: {error}") from error


def _read(path: Path, whole: bool = False) -> dict[str, Parameter]:
    """Read a checkpoint into memory, with its checksum, which it may lack unless it must be `whole`."""
    if not path.is_file():
        raise ValueError(f"no checkpoint file {path}: check the path")
    if path.suffix != ".ckpt":
        raise ValueError(f"{path} is not named like a checkpoint: MindSpore reads only files that end in .ckpt")
    if whole and not _has_checksum(path):
        raise DamagedCheckpoint(f"checkpoint {path} has no checksum at its end: it is cut, or another program's")
    try:
        with silenced_logging():
            return ms.load_checkpoint(str(path), crc_check=True)
    except Exception as error:  # MindSpore raises errors of many types for a damaged file
        raise DamagedCheckpoint(
            f"cannot read checkpoint {path}: the file is damaged, unreadable or no checkpoint; use another one"
        ) from error


def _has_checksum(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _CHECKSUM_BYTES, 0))
        return stream.read().startswith(_CHECKSUM)


def _check_weights(network: nn.Cell, stored: Mapping[str, Parameter], path: Path) -> Mapping[str, Parameter]:
    """Return the parameters of a network that a checkpoint fits; raise if it does not."""
    weights = _weights(network)
    _check_fit(stored, weights, [name for name in stored if not _TRAINING_STATE.fullmatch(name)], path)
    return weights


def _check_fit(
    stored: Mapping[str, Parameter], wanted: Mapping[str, Parameter], relevant: Iterable[str], path: Path
) -> None:
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
