"""metrics.csv, none of whose rows is lost by a kill or written twice after a resume, and the curves of a training."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from src.checkpoints.names import CURVES
from src.checkpoints.position import Position
from src.common.files import atomic_write, naming, to_csv
from src.common.plotting import has_matplotlib, new_figure, to_png
from src.common.system_errors import describe


@dataclass(frozen=True)
class Row:
    """One row of metrics.csv.

    Args:
        epoch: Number of the epoch, from 1.
        step: Finished steps from the very beginning of training, all epochs taken to have as many as this one.
        lr: Learning rate of the last of these.
        loss: Its loss; NaN in a row of a validation alone.
        images_per_second: Speed since the row before; likewise.
        val_top_1: Validation top-1 after the epoch, 0 to 1; None where there was no validation.
        val_top_5: Validation top-5 after the epoch, 0 to 1; None where there was no validation.
        val_loss: Mean loss of the validation; None where there was none, and in files of earlier versions.
    """

    epoch: int
    step: int
    lr: float
    loss: float
    images_per_second: float
    val_top_1: float | None = None
    val_top_5: float | None = None
    val_loss: float | None = None


_NAMES = [field.name for field in fields(Row)]
_HEADERS = (",".join(_NAMES), ",".join(_NAMES[:-1]))  # the second is that of earlier versions
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"  # told apart by colour-blind people too


class MetricsLog:
    """A metrics.csv that rows are appended to, each of them on the disk before the call returns.

    Args:
        path: The file; created with its header if it is missing, with missing parent folders.
        until: Rows of later positions are dropped: a resumed training writes them again.

    Raises:
        OSError: If the file cannot be read or written.
        ValueError: If it is no metrics file.
    """

    def __init__(self, path: Path, until: Position | None = None):
        self.path = path
        rows = rows_until(read_metrics(path), until or Position()) if path.exists() else []
        self._last = rows[-1] if rows else None
        self._mirror: Callable[[Row], None] = lambda _: None
        self._write(rows)

    @property
    def last(self) -> Row | None:
        """The last row, None where there is none."""
        return self._last

    def mirror_to(self, add: Callable[[Row], None]) -> None:
        """Have each row that is written from here on added elsewhere too."""
        self._mirror = add

    def append(self, row: Row) -> None:
        """Append a row, unless it is the last one already.

        Raises:
            OSError: If it cannot be written.
        """
        if row == self._last:
            return
        with naming(self.path), self.path.open("a", encoding="utf-8", newline="") as stream:
            # Somebody has taken it away: without its header the next training could not read it.
            header = "" if stream.tell() else to_csv([_NAMES])
            stream.write(header + _to_line(row))
            stream.flush()
            os.fsync(stream.fileno())
        self._last = row
        self._mirror(row)

    def add_validation(self, row: Row) -> None:
        """Put a validation into the last row, where that is of the same epoch, or append it.

        Args:
            row: The row of the epoch's last step, with the validation.

        Raises:
            OSError: If it cannot be written; the file is as it was.
        """
        last = self._last
        if last is None or last.epoch != row.epoch:
            self.append(row)
            return
        row = replace(last, val_top_1=row.val_top_1, val_top_5=row.val_top_5, val_loss=row.val_loss)
        try:
            before = read_metrics(self.path)[:-1]
        except (OSError, ValueError):  # a file that somebody has changed or taken away ends no training
            self.append(row)
            return
        self._write([*before, row])
        self._last = row
        self._mirror(row)

    def _write(self, rows: Iterable[Row]) -> None:
        atomic_write(self.path, to_csv([_NAMES]) + "".join(_to_line(row) for row in rows))


def rows_until(rows: Sequence[Row], position: Position) -> list[Row]:
    """Return the rows that are not later than a position, whatever steps the epochs before it had.

    Args:
        rows: In the order in which they were written.
        position: As a checkpoint records it.
    """
    finished = [row for row in rows if row.epoch <= position.epoch]
    begun = [row for row in rows if row.epoch == position.epoch + 1] if position.step else []
    # Of an epoch that was gone on with at other steps, the row of the position tells where it ends.
    ends = [number for number, row in enumerate(begun, start=1) if row.step == position.global_step]
    if ends:
        return finished + begun[: ends[-1]]
    return finished + [row for row in begun if row.step <= position.global_step]


def read_metrics(path: Path) -> list[Row]:
    """Read a metrics file; a last line that a kill has cut off is left out.

    Args:
        path: The file.

    Returns:
        Its rows.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no metrics file; the message names the line.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    *lines, incomplete = text.split("\n")
    first = lines[0].rstrip("\r") if lines else incomplete
    if first not in _HEADERS and (lines or not _HEADERS[0].startswith(first)):
        raise ValueError(f"{path}, line 1: expected the header {_HEADERS[0]}: move the file away")
    rows = []
    for number, cells in enumerate(csv.reader(lines[1:]), start=2):
        try:
            rows.append(_parse(cells, first.count(",") + 1))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}: repair the line or move the file away") from error
    return rows


def _parse(cells: list[str], columns: int) -> Row:
    if len(cells) != columns:
        raise ValueError(f"expected {columns} values, got {len(cells)}")
    epoch, step, *numbers = cells
    lr, loss, speed, *validation = (float(cell) if cell else None for cell in numbers)
    if lr is None or loss is None or speed is None:
        raise ValueError("lr, loss or images_per_second is missing")
    given = dict(zip(_NAMES[-3:], validation, strict=False))
    return Row(int(epoch), int(step), lr, loss, speed, **given)


def _to_line(row: Row) -> str:
    return to_csv([["" if (value := getattr(row, name)) is None else value for name in _NAMES]])


def write_curves(metrics: Path) -> Path | None:
    """Draw the curves of a metrics.csv as curves.png beside it; a failure is one line on stderr, never an error.

    Args:
        metrics: The file.

    Returns:
        The picture, or None without matplotlib, without rows or after a failure.
    """
    if not has_matplotlib():
        return None
    picture = metrics.with_name(CURVES)
    try:
        rows = read_metrics(metrics)
        if not rows:
            return None
        atomic_write(picture, _draw_curves(rows))
    except Exception as error:  # noqa: BLE001 - hours of training are worth more than any picture
        reason = describe(error) if isinstance(error, OSError) else error
        print(f"{picture} is left out: {reason}", file=sys.stderr, flush=True)
        return None
    return picture


def _draw_curves(rows: Sequence[Row]) -> bytes:
    validated = [row for row in rows if row.val_top_1 is not None]
    panels = 3 if validated else 2
    figure = new_figure(9, 2.6 * panels, "constrained")
    axes = figure.subplots(panels, 1, sharex=True)
    steps = [row.step for row in rows]
    last = rows[-1]
    axes[0].set_title(f"Training: epoch {last.epoch}, step {last.step}, loss {last.loss:.3f}")
    _draw_line(axes[0], steps, [row.loss for row in rows], _BLUE, label="training")
    axes[0].set_ylabel("loss")
    _draw_line(axes[1], steps, [row.lr for row in rows], _ORANGE)
    axes[1].set_ylabel("learning rate")
    if validated:
        ends = [row.step for row in validated]
        losses = [math.nan if row.val_loss is None else row.val_loss for row in validated]
        _draw_line(axes[0], ends, losses, _GREEN, label="validation")
        axes[0].legend(loc="upper right")
        top_1, top_5 = _percent(row.val_top_1 for row in validated), _percent(row.val_top_5 for row in validated)
        _draw_line(axes[2], ends, top_5, _GREY, label="top-5", linestyle="--")
        _draw_line(axes[2], ends, top_1, _GREEN, label="top-1")
        axes[2].set_ylabel(f"validation, %\n(best top-1 {max(top_1):.2f})")
        axes[2].legend(loc="lower right")
    for panel in axes:
        panel.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return to_png(figure)


def _draw_line(axes: Any, steps: Sequence[int], values: Sequence[float], colour: str, **style: Any) -> None:
    """Draw a line; few points are marked, many are drawn thinly."""
    marker = "o" if len(steps) < 40 else ""
    width = 1.5 if len(steps) < 1000 else 0.8
    axes.plot(steps, values, color=colour, marker=marker, markersize=4, linewidth=width, **style)


def _percent(shares: Iterable[float | None]) -> list[float]:
    """Return shares in per cent; a missing one is a gap in the line."""
    return [math.nan if share is None else 100 * share for share in shares]
