"""The threads of the operators in C++: ranks that may run on the same cores share them."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from src.model_utils.local_adapter import ALONE, Group
from src.model_utils.shared_processors import Share

_VARIABLE = "OMP_NUM_THREADS"


def share_cores(library: Path | None, share: Share | None, group: Group = ALONE) -> None:
    """Have the operators compute by as many threads as this process has cores for itself.

    The variable OMP_NUM_THREADS, where it is set, counts instead, up to the cores; the first rank says it where that
    leaves cores idle, since it need not be the user who has set it.

    Args:
        library: The operators, as build_cpu_library of src.cpu.library returns them; None for MindSpore's.
        share: What this rank has of its machine; None for all that it may use.
        group: The processes that train or evaluate together.
    """
    if library is None:
        return
    usable = _usable(library)
    cores = min(share.threads, usable) if share else usable
    threads = min(_asked_for() or cores, usable)
    if threads < cores and group.rank == 0:
        print(
            f"{_VARIABLE} is {os.environ[_VARIABLE]}, so the operators in C++ compute by {threads} of the {cores} "
            f"cores that {'each rank' if share else 'this process'} could use: {_VARIABLE}={cores} has them use all "
            "(MindSpore sets it to 1 for what a process starts that has imported it, as msrun or a notebook)",
            file=sys.stderr,
            flush=True,
        )
    ctypes.CDLL(str(library)).XceptionUseThreads(threads)


def _usable(library: Path) -> int:
    return ctypes.CDLL(str(library)).XceptionUsableThreads()


def _asked_for() -> int:
    """Return the number of threads in OMP_NUM_THREADS, 0 where it has none; MindSpore sets it too, but not here."""
    text = os.environ.get(_VARIABLE, "").split(",")[0].strip()  # behind a comma are those of nested loops
    if not text:
        return 0
    if not text.isdecimal() or int(text) < 1:
        print(f"{_VARIABLE} is {os.environ[_VARIABLE]!r}, no number from 1 on: not used", file=sys.stderr)
        return 0
    return int(text)
