"""The threads of the operators in C++: ranks that may run on the same cores share them."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from src.common.workers import available_cores
from src.model_utils.config import Config
from src.model_utils.local_adapter import Group, count_alike

_VARIABLE = "OMP_NUM_THREADS"


def share_cores(config: Config, library: Path | None, group: Group) -> None:
    """Have the operators compute by as many threads as this process has cores for itself.

    That is by an equal share of the cores that ranks of one machine may run on alike; ranks that are bound to cores of
    their own keep these. The variable OMP_NUM_THREADS, where a user has set it, counts instead, up to the cores. All
    ranks of a group call this at the same point.

    Args:
        config: The configuration.
        library: The operators, as build_cpu_library of src.cpu.library returns them; None for MindSpore's.
        group: The processes of the run.
    """
    if config.device_target != "CPU":
        return
    sharing = count_alike(f"{_machine()} {available_cores()}", group)  # a rank without a library does this, too
    if library is None:
        return
    usable = _usable(library)
    ctypes.CDLL(str(library)).XceptionUseThreads(min(_asked_for() or max(usable // sharing, 1), usable))


def _usable(library: Path) -> int:
    return ctypes.CDLL(str(library)).XceptionUsableThreads()


def _machine() -> str:
    """Return what differs between machines; containers on one machine share its cores."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return os.uname().nodename


def _asked_for() -> int:
    """Return the number of threads in OMP_NUM_THREADS, 0 where it has none; MindSpore sets it too, but not here."""
    text = os.environ.get(_VARIABLE, "").split(",")[0].strip()  # behind a comma are those of nested loops
    if not text:
        return 0
    if not text.isdecimal() or int(text) < 1:
        print(f"{_VARIABLE} is {os.environ[_VARIABLE]!r}, no number from 1 on: not used", file=sys.stderr)
        return 0
    return int(text)
