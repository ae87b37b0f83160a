"""Checkpoints that a person names: one file, a folder of them, or a pattern."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path


def named_checkpoints(word: str) -> list[Path]:
    """Find the checkpoints that a word names.

    Args:
        word: A file, a folder, of which all files that end in .ckpt count, or a pattern such as `runs/*/best.ckpt`.
            A file of that very name comes before a pattern.

    Returns:
        The files, numbers in their names in the order of numbers; a file that is not there is returned too, as its
        reader says so best.

    Raises:
        ValueError: If a folder holds no checkpoint, or nothing matches a pattern.
    """
    if os.path.isdir(word):
        found = glob.glob("*.ckpt", root_dir=word)
        if not found:
            raise ValueError(f"no checkpoint in the folder {word}: none of its files ends in .ckpt")
        return sorted((Path(word, name) for name in found), key=_by_numbers)
    if os.path.lexists(word) or not glob.has_magic(word):
        return [Path(word)]
    found = glob.glob(word, recursive=True)
    if not found:
        raise ValueError(f"nothing matches the pattern {word}: check it")
    return sorted(map(Path, found), key=_by_numbers)


def _by_numbers(path: Path) -> list[tuple[int, int, str]]:
    """Return a key by which epoch 10 comes after epoch 9."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
