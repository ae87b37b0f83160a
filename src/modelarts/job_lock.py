"""A lock among the processes of one job on one server; the kernel releases it when a process dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

# Bytes of the file that are locked: the first by the one process at work, the second by all that are present.
_WORK, _PRESENCE = 0, 1
_POLL_SECONDS = 0.1
_NAME_SECONDS = 5.0  # after which who works is taken to have no name
_MAX_BYTES = 4096
_FAILED = "failed"


class JobLock:
    """The presence of this process among those of its job on this server, from `with` to leave().

    The file `xception-<job>.lock` in the system's temporary folder is locked and says who works; the last process to
    leave removes it. Record locks are used, as children that a process forks do not inherit them: a killed process
    holds nothing, even if its children live on.

    Args:
        job: Name of the job, fit for a file name.
        wait_limit: Longest time in seconds to wait for other processes.
    """

    def __init__(self, job: str, wait_limit: float):
        self.path = Path(tempfile.gettempdir()) / f"xception-{job}.lock"
        self._job = job
        self._wait_limit = wait_limit
        self._descriptor = -1

    def __enter__(self) -> JobLock:
        while True:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._wait(fcntl.LOCK_SH, _PRESENCE)
                if self._is_current():
                    return self
            except BaseException:
                self._close()
                raise
            self._close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            self._release()

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
        before = self._read()
        self._wait(fcntl.LOCK_EX, _WORK)
        try:
            after = self._read()
            # A failure that was there before is of an earlier try.
            if after.startswith(_FAILED) and after != before:
                raise OSError(after)
            self._write(self._owner(task))
            try:
                yield
            except Exception as error:
                with contextlib.suppress(OSError):  # the error being raised matters more
                    self._write(f"{_FAILED} in {self._owner(task)}: {error}")
                raise
            self._write("")
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _WORK)

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
        try:
            self._wait(fcntl.LOCK_EX, _WORK)
            self._write(self._owner(task))
            yield self._try_lock(fcntl.LOCK_EX, _PRESENCE)
            self._write("")
        finally:
            self._release()

    def _release(self) -> None:
        """Give up both locks without a wait; the last process of the job removes the file."""
        try:
            # Unlocked first: of two that end at once, neither would get the place of the other.
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _PRESENCE)
            if self._try_lock(fcntl.LOCK_EX, _PRESENCE) and self._is_current():
                self.path.unlink()
        finally:
            self._close()

    def _is_current(self) -> bool:
        """Tell whether the open file still has its name: the last process of before may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _wait(self, operation: int, byte: int) -> None:
        """Lock a byte of the file, and say once whom this process waits for."""
        start = time.monotonic()
        is_told = False
        while not self._try_lock(operation, byte):
            owner, waited = self._read(), time.monotonic() - start
            if waited > self._wait_limit:
                raise TimeoutError(
                    f"waited {self._wait_limit:g} s for {owner or 'another process'}; if it hangs, end it and start "
                    f"the job again (lock file {self.path})"
                )
            # Who has only just got the lock is about to write its name.
            if not is_told and (owner or waited > _NAME_SECONDS):
                print(f"waiting for {owner or 'another process'}", file=sys.stderr, flush=True)
                is_told = True
            time.sleep(_POLL_SECONDS)

    def _try_lock(self, operation: int, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, operation | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            return False
        return True

    def _owner(self, task: str) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return f"process {os.getpid()} of job {self._job} on {socket.gethostname()}, which {task} since {since}"

    def _read(self) -> str:
        return os.pread(self._descriptor, _MAX_BYTES, 0).decode(errors="replace")

    def _write(self, text: str) -> None:
        data = text.encode(errors="replace")[:_MAX_BYTES]
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def _close(self) -> None:
        # Closing releases both locks at once.
        os.close(self._descriptor)
        self._descriptor = -1
