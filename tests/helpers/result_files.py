"""Result files, as the program for the Ascend 310 writes them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def write_results(folder: Path, logits: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, row in logits.items():
        (folder / f"{name}_0.bin").write_bytes(np.asarray(row, "<f4").tobytes())


def write_table(folder: Path, paths: Iterable[str], topk: int = 2) -> None:
    """Write predictions.csv for images of these paths; what it says of their classes is of no account here."""
    path = folder / "predictions.csv"
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "rank", "class", "name", "probability"))
        writer.writerows((name, rank, 0, "", 0.5) for name in paths for rank in range(1, topk + 1))
