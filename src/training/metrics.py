"""metrics.csv: one row after another while training goes on, none lost by a kill, none twice after a resume."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, fields
from pathlib import Path

from src.common.files import atomic_write, to_csv


@dataclass(frozen=True)
class Row:
    """One row of metrics.csv.

    Args:
        epoch: Number of the epoch, from 1.
        step: Finished steps from the very beginning of training.
        lr: Learning rate of the last of these.
        loss: Its loss.
        images_per_second: Speed since the row before.
        val_top_1: Validation top-1 after the epoch, 0 to 1; None where there was no validation.
        val_top_5: Validation top-5 after the epoch, 0 to 1; None where there was no validation.
    """

    epoch: int
    step: int
    lr: float
    loss: float
    images_per_second: float
    val_top_1: float | None = None
    val_top_5: float | None = None


_NAMES = [field.name for field in fields(Row)]


class MetricsLog:
    """A metrics.csv that rows are appended to, each of them on the disk before the call returns.

    Args:
        path: The file; created with its header if it is missing, with missing parent folders.
        keep_until_step: Rows of later steps are dropped: a resumed training writes them again.

    Raises:
        OSError: If the file cannot be read or written.
        ValueError: If it is no metrics file.
    """

    def __init__(self, path: Path, keep_until_step: int = 0):
        self.path = path
        rows = [row for row in read_metrics(path) if row.step <= keep_until_step] if path.exists() else []
        atomic_write(path, to_csv([_NAMES]) + "".join(_to_line(row) for row in rows))

    def append(self, row: Row) -> None:
        """Append a row.

        Raises:
            OSError: If it cannot be written.
        """
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(_to_line(row))
            stream.flush()
            os.fsync(stream.fileno())


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
    header = ",".join(_NAMES)
    first = lines[0].rstrip("\r") if lines else incomplete
    if first != header and (lines or not header.startswith(first)):
        raise ValueError(f"{path}, line 1: expected the header {header}: move the file away")
    rows = []
    for number, cells in enumerate(csv.reader(lines[1:]), start=2):
        try:
            rows.append(_parse(cells))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}: repair the line or move the file away") from error
    return rows


def _parse(cells: list[str]) -> Row:
    if len(cells) != len(_NAMES):
        raise ValueError(f"expected {len(_NAMES)} values, got {len(cells)}")
    epoch, step, *numbers = cells
    lr, loss, speed, *validation = (float(cell) if cell else None for cell in numbers)
    if lr is None or loss is None or speed is None:
        raise ValueError("lr, loss or images_per_second is missing")
    return Row(int(epoch), int(step), lr, loss, speed, *validation)


def _to_line(row: Row) -> str:
    return to_csv([["" if (value := getattr(row, name)) is None else value for name in _NAMES]])
