"""The profile that the operators in C++ take of themselves."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

from tools.profiles.work import Kernel, Limits, Step

_MESSAGE_BYTES = 400


def profile_steps(library: Path, work: Callable[[], object], steps: int) -> list[Step]:
    """Profile a work that the operators do.

    Args:
        library: The operators, as build_cpu_library returns them.
        work: Does a step, and returns when it is done.
        steps: How many to measure after the first one, in which things are made that stay.
    """
    tell = ctypes.CDLL(str(library)).XceptionProfile
    tell.restype = ctypes.c_char_p
    work()
    measured = []
    for _ in range(steps):
        tell(True)
        start = time.perf_counter()
        work()
        milliseconds = (time.perf_counter() - start) * 1000
        measured.append(read_step(milliseconds, tell(False).decode()))
    return measured


def read_step(milliseconds: float, text: str) -> Step:
    """Return a step by what XceptionProfile of src/cpu/native/profile.cc tells of it."""
    kernels, parts = [], {}
    for line in text.splitlines():
        part, name, *numbers = line.split("\t")
        calls, nanoseconds, operations, moved = map(int, numbers)
        if name:
            kernels.append(Kernel(name, nanoseconds / 1e6, operations, moved, calls, part=part))
        else:
            parts[part] = nanoseconds / 1e6, calls
    return Step(milliseconds, kernels, parts)


def measure_limits(library: Path, is_half: bool) -> Limits:
    """Measure what all threads of the operators can do on this machine.

    Args:
        library: The operators.
        is_half: Whether products are in bfloat16.

    Raises:
        ValueError: If it cannot be measured.
    """
    operations, moved = ctypes.c_double(), ctypes.c_double()
    message = ctypes.create_string_buffer(_MESSAGE_BYTES)
    failed = ctypes.CDLL(str(library)).XceptionLimits(
        is_half, ctypes.byref(operations), ctypes.byref(moved), message, ctypes.c_int64(len(message))
    )
    if failed:
        raise ValueError(f"the speed of this machine cannot be measured: {message.value.decode(errors='replace')}")
    return Limits(operations.value, moved.value)
