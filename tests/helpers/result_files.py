"""Result files, as the program for the Ascend 310 writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_results(folder: Path, logits: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, row in logits.items():
        (folder / f"{name}_0.bin").write_bytes(np.asarray(row, "<f4").tobytes())
