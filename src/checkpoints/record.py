"""The position that a checkpoint records, which alone decides its place among others: its name is anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from src.checkpoints.best import METRICS, NONE, TOP_1
from src.checkpoints.contents import unpack_first
from src.checkpoints.file import FIRST_OF_TRAINING
from src.checkpoints.names import BEST_CHECKPOINT, numbered_checkpoints
from src.checkpoints.position import Position

_EPOCH, _STEP = "epoch_num", "step_num"
_BEST = {f"best_{metric}": metric for metric in METRICS}  # an entry names what its figure is
ENTRIES = frozenset({FIRST_OF_TRAINING, _EPOCH, _STEP, *_BEST})
_HEAD_BYTES = 4096  # the entries of the position take some hundred, a whole file hundreds of millions


class Recorded(NamedTuple):
    """A checkpoint file, and the position that it records; None where it records none, or one that cannot be."""

    path: Path
    position: Position | None


def entries_of(position: Position) -> dict[str, int | float]:
    """Return the entries of a checkpoint that record a position, which stand first in its file."""
    return {
        FIRST_OF_TRAINING: position.steps_per_epoch,
        _EPOCH: position.epoch,
        _STEP: position.step,
        f"best_{position.metric}": position.best,
    }


def position_of(numbers: Mapping[str, Any]) -> Position | None:
    """Return the position that entries of a checkpoint record.

    Args:
        numbers: Python's int or float by name; others do not matter.

    Returns:
        The position; None where an entry is missing.

    Raises:
        ValueError: If no training can be there.
    """
    if not {_EPOCH, _STEP, FIRST_OF_TRAINING} <= numbers.keys():
        return None
    epoch, step, steps = (numbers[name] for name in (_EPOCH, _STEP, FIRST_OF_TRAINING))
    best, metric = next(((numbers[name], metric) for name, metric in _BEST.items() if name in numbers), (NONE, TOP_1))
    whole = isinstance(epoch, int) and isinstance(step, int) and isinstance(steps, int)
    if not (whole and isinstance(best, float) and epoch >= 0 and 0 <= step < steps):
        raise ValueError(f"it records an impossible position: {epoch} epochs and step {step} of {steps}")
    return Position(epoch, step, steps, best, metric)


def read_position(path: Path) -> Position | None:
    """Return the position that a checkpoint records, from its first bytes; None where they hold none.

    Whether the rest of the file is whole only reading it tells.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        entries = unpack_first(head, ENTRIES)
        return position_of({name: value if isinstance(value, str) else value.item() for name, value in entries.items()})
    except (OSError, ValueError):
        return None


def recorded_checkpoints(folder: Path, with_best: bool = True) -> list[Recorded]:
    """List the checkpoints of a training in the order of their positions; those that record none stand first.

    Args:
        folder: Where to look; need not exist.
        with_best: Whether the best one is among them, before a numbered one of the same position.
    """
    best = folder / BEST_CHECKPOINT
    paths = [*([best] if with_best and best.exists() else []), *numbered_checkpoints(folder)]
    found = [Recorded(path, read_position(path)) for path in paths]
    return sorted(found, key=lambda each: each.position.epochs if each.position else (-1, 0.0))
