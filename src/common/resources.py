"""What the machine has left, and what this process has taken of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def existing_place(folder: Path) -> Path:
    """Return a folder, which may still be missing, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def free_space(folder: Path) -> int:
    """Return how many bytes are free on the disk of a folder, which may still be missing."""
    return shutil.disk_usage(existing_place(folder)).free


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had so far, None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
