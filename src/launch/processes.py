"""The processes below this one, as Linux shows them in /proc."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends, instead of init.

    Raises:
        OSError: The system cannot do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become the parent of orphaned processes")


def descendants() -> list[int]:
    """Return the ids of all processes below this one, ended ones that nobody has waited for included."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                # The name stands in brackets and may hold anything; state and parent follow.
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                children[int(fields[1])].append(int(entry.name))
    found = []
    left = [os.getpid()]
    while left:
        below = children.pop(left.pop(), [])
        found += below
        left += below
    return found


def send(number: int, processes: Iterable[int]) -> None:
    """Send a signal to processes; one that has ended is passed over."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def describe_status(status: int) -> str:
    """Return how a process ended, for people.

    Args:
        status: Exit status, or minus the number of the signal that killed it.
    """
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"was killed by signal {-status} ({name})"
