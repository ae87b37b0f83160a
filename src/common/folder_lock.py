"""A folder that only one process writes to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCK = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}  # of some network file systems


@contextmanager
def only_writer(folder: Path, other: str, advice: str) -> Iterator[None]:
    """Keep every other process that asks from writing to a folder while the block runs.

    The lock is the kernel's: it ends with the process, however that dies.

    Args:
        folder: Created if it is missing.
        other: What the other process is, for the error: "another training".
        advice: What to do instead of waiting, for the error: "choose another folder".

    Raises:
        ValueError: If another process is writing there.
        OSError: If the folder cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = _lock(folder)
    except BlockingIOError as error:
        raise ValueError(f"{other} is writing to {folder}: wait for it, or {advice}") from error
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a folder; return its descriptor, whose end is the lock's, or None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in _NO_LOCK:
            raise
        return None
    return descriptor
