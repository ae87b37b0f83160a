"""Whether a folder still lies on the disk that it was on: one that is unmounted leaves an empty folder in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from src.common.files import printable


class SameDisk:
    """Remembers the disk of a folder, and tells once when the folder lies on another one.

    Args:
        folder: The folder; where it is missing, nothing is told.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._device = _device(folder)

    def say_change(self) -> None:
        """Print a line on stderr if the folder lies on another disk than at first, the first time that this is so."""
        device = _device(self._folder)
        if None in (device, self._device) or device == self._device:
            return
        self._device = None
        print(
            f"warning: {printable(self._folder)} lies on another disk than before: was that one unmounted? What was "
            "written until now is there, and what follows is here",
            file=sys.stderr,
            flush=True,
        )


def _device(folder: Path) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None
