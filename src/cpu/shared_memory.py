"""Memory that the ranks of one machine share, by which their gradients are averaged without MindSpore's sockets."""

from __future__ import annotations

import ctypes
import os
import secrets
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from src.model_utils.config import Config
from src.model_utils.local_adapter import Group, gather_from_ranks
from src.model_utils.shared_processors import machine_number

_MESSAGE_BYTES = 1024


def share_memory(config: Config, library: Path | None, group: Group) -> None:
    """Have the ranks of a run on CPU share memory, if all can; all call this at the same point.

    What they share has no name: the system gives it back when the last of them ends, whatever ends it. Where one of
    them cannot, MindSpore averages the gradients, and if all are on one machine a line says why.

    Args:
        config: With `device_target`, the same on all ranks.
        library: The operators, as build_cpu_library of src.cpu.library returns them; None for MindSpore's.
        group: The ranks.
    """
    if config.device_target != "CPU" or group.size == 1:
        return
    own = np.array([machine_number(), zlib.crc32(library.name.encode()) if library else -1], np.int64)
    everyone = gather_from_ranks(own, group)
    if library is None or (everyone != own).any():  # another machine, or other operators
        return
    functions = ctypes.CDLL(str(library))
    with _made_by_first(functions, group) as (path, problem):
        problem = problem or _join(functions, path, group)
        failed = gather_from_ranks(np.array(bool(problem), np.int64), group)
    if failed.any():
        functions.XceptionLeave()
        if problem and not failed[: group.rank].any():
            print(f"the ranks share no memory, so they average their gradients by sockets: {problem}", file=sys.stderr)


def shares_memory(library: Path) -> bool:
    """Tell whether share_memory has had this process share memory with other ranks."""
    return ctypes.CDLL(str(library)).XceptionRanks() > 1


@contextmanager
def _made_by_first(functions: ctypes.CDLL, group: Group) -> Iterator[tuple[str, str]]:
    """Give a path of the memory that the first rank makes, or what is wrong; the path ends with the block."""
    name, file, problem = f"xception-{secrets.randbits(62)}", -1, ""
    try:
        if group.rank == 0:
            try:
                file = os.memfd_create(name)  # closed in programs that are started meanwhile
                os.posix_fallocate(file, 0, functions.XceptionSharedBytes(group.size))
            except (OSError, AttributeError) as error:  # an old system, or no memory
                problem = str(error)
        numbers = np.array([os.getpid(), file, int(name.partition("-")[2]), not problem], np.int64)
        process, first_file, number, is_made = gather_from_ranks(numbers, group)[0]
        path = f"/proc/{process}/fd/{first_file}"
        if is_made and not _leads_to(path, f"/memfd:xception-{number} (deleted)"):
            problem = f"{path} is not what rank 0 has made: do all see the same processes?"
        yield path, problem if is_made else problem or "rank 0 has none"
    finally:
        if file >= 0:
            os.close(file)


def _leads_to(path: str, target: str) -> bool:
    """Tell what a path leads to, without opening it, which might be another process's."""
    with suppress(OSError):
        return os.readlink(path) == target
    return False


def _join(functions: ctypes.CDLL, path: str, group: Group) -> str:
    """Have the library map the memory; return what is wrong, nothing if all is well."""
    message = ctypes.create_string_buffer(_MESSAGE_BYTES)
    size = ctypes.c_int64(len(message))
    failed = functions.XceptionJoin(path.encode(), group.rank, group.size, message, size)
    return message.value.decode(errors="replace") if failed else ""
