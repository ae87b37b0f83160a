"""The folder of a training is one line: what is later than where it goes on moves aside before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from src.checkpoints.best import NONE
from src.checkpoints.file import DamagedCheckpoint, read_checkpoint
from src.checkpoints.names import BAD_IMAGES, BEST_CHECKPOINT, CURVES, METRICS, checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.record import Recorded, read_position, recorded_checkpoints
from src.common.files import atomic_write, move_aside, remove_temporary
from src.model_utils.beside import CLASS_NAMES, CONFIG
from src.model_utils.config import Config, ConfigError
from src.model_utils.config_file import read_documents
from src.model_utils.derived_settings import amp_level
from src.model_utils.local_adapter import Group, gather_from_ranks
from src.training.metrics import MetricsLog, Row, read_metrics, rows_until
from src.training.origin import AUTO
from src.training.resume import Start
from src.training.validation import validates_after

_DESCRIPTIONS = (METRICS, CURVES, CONFIG)  # of a line, which both lines have where one leaves the other
_ALL = (*_DESCRIPTIONS, BEST_CHECKPOINT, CLASS_NAMES, BAD_IMAGES)


@dataclass(frozen=True)
class Line:
    """What a folder holds of the training that goes on, or of none.

    Args:
        metrics: Its metrics, up to where it goes on.
        best: The figure of the best checkpoint there; NONE where there is none.
        goes_on: Whether its steps count on from those that were trained here before, 0 or more.
    """

    metrics: MetricsLog
    best: float
    goes_on: bool


def owes_validation(config: Config, folder: Path, start: Start, group: Group) -> bool:
    """Tell whether a training goes on at the end of an epoch that has not been validated here; every rank calls this.

    Args:
        config: With `eval_while_train` and `save_checkpoint`.
        folder: The folder of the training.
        start: Where it goes on.
        group: The processes that train together, the first of which decides.

    Raises:
        ValueError: If the metrics there are none.
        OSError: If they cannot be read.
    """
    is_due = start.position.global_step and validates_after(config, start.position)
    if not (config.eval_while_train and start.checkpoint and is_due):
        return False
    owes = group.rank == 0 and read_position(start.checkpoint) and not _is_validated(config, folder, start)
    return bool(gather_from_ranks(np.array(bool(owes), np.int64), group)[0])


def is_here(start: Start, folder: Path) -> bool:
    """Tell whether a training goes on in the folder that its checkpoint lies in."""
    return start.checkpoint is not None and start.checkpoint.resolve().parent == folder.resolve()


def rows_before(folder: Path, start: Start) -> list[Row]:
    """Return the metrics of a folder up to where a training goes on in it; none where it begins or is of another one.

    Raises:
        ValueError: If the metrics there are none.
        OSError: If they cannot be read.
    """
    position = _place(start, folder)
    return rows_until(_read_rows(folder), position) if position else []


def open_line(config: Config, folder: Path, names: list[str], start: Start) -> Line:
    """Move aside what does not belong to the training that begins or goes on, and write what describes it.

    Class names that are there stay as they are while the checkpoints do, which they may be the names of.

    Args:
        config: The configuration.
        folder: The folder, which this process alone writes to.
        names: The class names.
        start: Where the training starts.

    Raises:
        ValueError: If the metrics of a training that goes on are none; nothing has been moved then.
        OSError: If a file cannot be moved or written.
    """
    position = _place(start, folder)
    remove_temporary(folder)
    repeats = position is None and _was_ended_early(config, folder)
    aside = _leave_others(config, folder, start, position, repeats=repeats)
    if aside:
        print(f"files of an earlier run are in {aside} now", flush=True)
    # First: beside nothing else, one run that ended early is told from another by it.
    atomic_write(folder / CONFIG, config.to_yaml())
    metrics = MetricsLog(folder / METRICS, position)
    if not (folder / CLASS_NAMES).exists():
        atomic_write(folder / CLASS_NAMES, "".join(f"{name}\n" for name in names))
    counts_on = position is not None and position.steps_per_epoch == start.position.steps_per_epoch
    return Line(metrics, _find_best(config, folder, start.position), repeats or counts_on)


def _find_best(config: Config, folder: Path, position: Position) -> float:
    """Return the figure of the best checkpoint of a folder, NONE where there is none; one by another metric moves."""
    best, metric = read_position(folder / BEST_CHECKPOINT), config.best_metric
    if not (config.eval_while_train and config.save_checkpoint):
        return best.best if best else NONE
    if best and best.metric != metric:
        aside = move_aside([folder / BEST_CHECKPOINT], folder)
        print(f"the best checkpoint by {best.metric} is in {aside} now: that by {metric} is looked for", flush=True)
        return NONE
    if not best and position.best >= 0:
        said = f"{position.metric.replace('_', '-')} so far, {position.best:.4f}"
        print(f"no checkpoint here has the best {said}: the best is looked for anew", flush=True)
    return best.best if best else NONE


def _place(start: Start, folder: Path) -> Position | None:
    """Return where the line of a folder goes on, as the checkpoint records it; None where another line begins."""
    if not (start.checkpoint and is_here(start, folder)):
        return None
    return read_position(start.checkpoint) or start.position


def _leave_others(
    config: Config, folder: Path, start: Start, position: Position | None, *, repeats: bool
) -> Path | None:
    """Move aside what is no part of the line that ends at a position, None for a new line; return where it is now."""
    found = recorded_checkpoints(folder)[::-1]  # the latest first: what a kill leaves then is the beginning of a line
    if position is None or start.checkpoint is None:
        if repeats:
            for name in _ALL:
                (folder / name).unlink(missing_ok=True)
        return move_aside([*(path for path, _ in found), *(folder / name for name in _ALL)], folder)
    rows = _read_rows(folder)
    goes_on = start.checkpoint.resolve()
    later = [each.path for each in found if each.path.resolve() != goes_on and not _precedes(each, position)]
    drops_rows = len(rows_until(rows, position)) < len(rows)
    if not later and (not drops_rows or _comes_out_alike(config, folder, goes_on=True)):
        return None  # also where training was killed: the rows since are written again
    return move_aside(later, folder, copied=[folder / name for name in _DESCRIPTIONS])


def _precedes(checkpoint: Recorded, position: Position) -> bool:
    """Tell whether a checkpoint belongs to the line that ends at a position."""
    path, recorded = checkpoint
    if recorded is None or recorded.epochs > position.epochs:
        return False
    if path.name == BEST_CHECKPOINT:
        return _is_whole(path)  # a damaged one may not decide which is the best
    return path.name == checkpoint_name(recorded)  # under another name it would be written over some day


def _is_whole(path: Path) -> bool:
    try:
        read_checkpoint(path, whole=True)
    except DamagedCheckpoint:
        return False
    return True


def _was_ended_early(config: Config, folder: Path) -> bool:
    """Tell whether a folder holds no more than a run like this that ended before its first checkpoint."""
    if recorded_checkpoints(folder) or not config.save_checkpoint:
        return False
    if not _comes_out_alike(config, folder, goes_on=False):
        return False
    try:
        rows = _read_rows(folder)
    except ValueError:
        return False
    return all(row.epoch <= min(config.save_checkpoint_epochs, config.epoch_size) for row in rows)


def _comes_out_alike(config: Config, folder: Path, *, goes_on: bool) -> bool:
    """Tell whether the rows of a folder are of a run with these settings, and so come out as they are.

    A run that goes on in its folder may have begun otherwise; one that begins may have looked for a checkpoint or not.
    """
    try:
        before = read_documents(folder / CONFIG)[0]
    except ConfigError:
        return False
    now = yaml.safe_load(config.to_yaml())
    for settings in (before, now):
        if goes_on or settings.get("resume") == AUTO:
            settings["resume"] = ""
        if settings.get("amp_level") == "auto":  # which a run that goes on has from its checkpoint in full
            settings["amp_level"] = amp_level(config.replace(amp_level="auto"))
    return before == now


def _read_rows(folder: Path) -> list[Row]:
    return read_metrics(folder / METRICS) if (folder / METRICS).exists() else []


def _is_validated(config: Config, folder: Path, start: Start) -> bool:
    """Tell whether a folder has the validation of the epoch that has just ended, and a best checkpoint up to there."""
    position = _place(start, folder)
    if position is None:
        return False
    best = read_position(folder / BEST_CHECKPOINT)
    has_best = not config.save_checkpoint or (
        best is not None and best.epochs <= position.epochs and best.metric == config.best_metric
    )
    rows = rows_before(folder, start)
    return has_best and any(row.epoch == position.last_epoch and row.val_top_1 is not None for row in rows)
