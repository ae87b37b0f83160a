"""File systems of a test's own, which can be small or be taken away while they are used."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Have a folder be a file system in memory for a block; the test is skipped where that is not allowed.

    Args:
        folder: Created if it is missing.
        options: Of the program mount, such as "-osize=64k".
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
    try:
        yield
    finally:
        take_away(folder)


def take_away(folder: Path) -> None:
    """Unmount a file system whether it is used or not, as a network disk goes; nothing happens where there is none."""
    subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)
