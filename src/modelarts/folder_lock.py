"""Locks among the jobs that use one folder: one fills it while others wait, and one alone writes its results there."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.modelarts.record_lock import PRESENCE, WORK, RecordLock

# Of network file systems without locks, and of a file that another user's job has made.
_NO_LOCK = {
    errno.EBADF,
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
}


@contextmanager
def filling(folder: Path, job: str, wait_limit: float) -> Iterator[None]:
    """Be the only process that fills a folder while the block runs, where its file system has locks.

    Args:
        folder: The folder; `.<name>.lock` beside it is locked.
        job: Name of the job of this process.
        wait_limit: Longest time in seconds to wait for another process.

    Raises:
        TimeoutError: If the wait took longer than the limit.
        OSError: If the lock file cannot be made.
    """
    with _working(folder, job, wait_limit) as lock:
        if lock:
            lock.write(lock.owner(f"fills {folder}"))
        yield
        if lock:
            lock.write("")


@contextmanager
def claimed(folder: Path, job: str, wait_limit: float) -> Iterator[None]:
    """Keep other jobs from writing results to a folder while the block runs, where its file system has locks.

    Args:
        folder: The folder; `.<name>.lock` beside it is locked.
        job: Name of the job, which may have several processes.
        wait_limit: Longest time in seconds to wait for a process that asks the same at the same time.

    Raises:
        ValueError: If a process of another job is present.
        OSError: If the lock file cannot be made.
    """
    with _working(folder, job, wait_limit) as lock:
        if lock:
            _claim(lock, folder)
        yield


def _claim(lock: RecordLock, folder: Path) -> None:
    """Be present, and let other processes of the same job come; raise if one of another job is there."""
    if lock.try_lock(PRESENCE):
        lock.write(lock.owner(f"writes its results to {folder}"))
    elif f" of job {lock.job} on " not in lock.read():
        raise ValueError(f"{lock.read()}: give each job an output_path of its own, or wait for the other one's end")
    lock.wait(PRESENCE, is_shared=True)
    lock.unlock(WORK)


@contextmanager
def _working(folder: Path, job: str, wait_limit: float) -> Iterator[RecordLock | None]:
    """Yield the lock of a folder with its byte of work locked, or None where that is not possible."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = RecordLock(folder.with_name(f".{folder.name}.lock"), job, wait_limit)
    is_locked = True
    try:
        lock.open(WORK)
    except TimeoutError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCK:
            raise
        is_locked = False
    try:
        yield lock if is_locked else None
    finally:
        lock.release()  # of one that is not open, does nothing
