"""A lock among the processes of one job on one server."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from src.modelarts.record_lock import PRESENCE, WORK, RecordLock

_FAILED = "failed"


class JobLock:
    """The presence of this process among those of its job on this server, from `with` to leave().

    The file `xception-<job>.lock` in the system's temporary folder is locked and says who works; the last process to
    leave removes it.

    Args:
        job: Name of the job, fit for a file name.
        wait_limit: Longest time in seconds to wait for other processes.
    """

    def __init__(self, job: str, wait_limit: float):
        self.path = Path(tempfile.gettempdir()) / f"xception-{job}.lock"
        self._lock = RecordLock(self.path, job, wait_limit)

    def __enter__(self) -> JobLock:
        self._lock.open(PRESENCE, is_shared=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @contextmanager
    def once(self, task: str) -> Iterator[None]:
        """Do the work of the block as the only process of the job; those that wait meanwhile fail if it fails.

        Args:
            task: What is done, for those who wait, such as "copies the data".

        Returns:
            A context; every process runs its block, one after the other, and finds there what is done already.

        Raises:
            OSError: If the block failed in the process that this one waited for.
            TimeoutError: If the wait took longer than the limit.
        """
        lock = self._lock
        before = lock.read()
        lock.wait(WORK)
        try:
            after = lock.read()
            # A failure that was there before is of an earlier try.
            if after.startswith(_FAILED) and after != before:
                raise OSError(after)
            lock.write(lock.owner(task))
            try:
                yield
            except Exception as error:
                with contextlib.suppress(OSError):  # the error being raised matters more
                    lock.write(f"{_FAILED} in {lock.owner(task)}: {error}")
                raise
            lock.write("")
        finally:
            lock.unlock(WORK)

    @contextmanager
    def leave(self, task: str) -> Iterator[bool]:
        """End the presence of this process after a last work that no other process of the job does meanwhile.

        Args:
            task: What is done, for those who wait, such as "copies the results".

        Returns:
            A context that tells whether no other process of the job is present.

        Raises:
            TimeoutError: If the wait took longer than the limit.
        """
        lock = self._lock
        try:
            lock.wait(WORK)
            lock.write(lock.owner(task))
            yield lock.try_lock(PRESENCE)
            lock.write("")
        finally:
            lock.release()
