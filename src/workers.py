"""How many threads or processes fit this machine."""

from __future__ import annotations

import os


def available_workers() -> int:
    """Return the number of cores that this process may use, 1 or more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
