"""Images that can be told from their pixels: those of the fixture `numbered`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np


def numbers(found: list[tuple[np.ndarray, np.ndarray]]) -> list[int]:
    """Return the numbers of evaluated images of `numbered`."""
    return [round((pixel * 127.5 + 127.5) / 6) for image, _ in found for pixel in image[:, 0, 0, 0]]


def first_images(numbered: Path, count: int) -> str:
    """Return a folder of the first images of `numbered`."""
    folder = numbered.with_name(f"first {count}")
    for path in sorted(numbered.rglob("*.png"), key=lambda path: path.name)[:count]:
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
    return str(folder)
