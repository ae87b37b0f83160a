"""A file whose bytes processes lock, and which says who works; the kernel releases the locks when a process dies."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from pathlib import Path

from src.common.files import naming

# Bytes of the file that are locked: the first by the one process at work, the second by all that are present.
WORK, PRESENCE = 0, 1
_POLL_SECONDS = 0.1
_NAME_SECONDS = 5.0  # after which who works is taken to have no name
_MAX_BYTES = 4096


class RecordLock:
    """An open lock file; the last process that is present removes it.

    Record locks are used, as children that a process forks do not inherit them: a killed process holds nothing, even if
    its children live on.

    Args:
        path: The file; made if it is missing.
        job: Name of the job of this process, for those who wait.
        wait_limit: Longest time in seconds to wait for other processes.
    """

    def __init__(self, path: Path, job: str, wait_limit: float):
        self.path = path
        self.job = job
        self._wait_limit = wait_limit
        self._descriptor = -1

    def open(self, byte: int, *, is_shared: bool = False) -> None:
        """Open the file and lock a byte of it, once more if the last process of before has removed it meanwhile.

        Args:
            byte: WORK or PRESENCE.
            is_shared: Whether other processes may lock it so at the same time.

        Raises:
            OSError: If the file cannot be opened or its file system has no locks.
            TimeoutError: If the wait took longer than the limit.
        """
        while True:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self.wait(byte, is_shared=is_shared)
                if self._is_current():
                    return
            except BaseException:
                self._close()
                raise
            self._close()

    def release(self) -> None:
        """Give up both locks without a wait; the last process removes the file. Does nothing when called again."""
        if self._descriptor < 0:
            return
        try:
            # Unlocked first: of two that end at once, neither would get the place of the other.
            self.unlock(PRESENCE)
            if self.try_lock(PRESENCE) and self.try_lock(WORK) and self._is_current():
                self.path.unlink()
        finally:
            self._close()

    def wait(self, byte: int, *, is_shared: bool = False) -> None:
        """Lock a byte of the file, and say once whom this process waits for."""
        start = time.monotonic()
        is_told = False
        while not self.try_lock(byte, is_shared=is_shared):
            owner, waited = self.read(), time.monotonic() - start
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

    def try_lock(self, byte: int, *, is_shared: bool = False) -> bool:
        """Lock a byte of the file unless another process has; return whether it is locked."""
        import fcntl  # which Windows lacks, where the rest of the project runs

        operation = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.lockf(self._descriptor, operation | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            return False
        return True

    def unlock(self, byte: int) -> None:
        """Give up the lock of a byte."""
        import fcntl

        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)

    def owner(self, task: str) -> str:
        """Return what is written into the file of a process that does something, such as "copies the data"."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return f"process {os.getpid()} of job {self.job} on {socket.gethostname()}, which {task} since {since}"

    def read(self) -> str:
        """Return what the file says."""
        return os.pread(self._descriptor, _MAX_BYTES, 0).decode(errors="replace")

    def write(self, text: str) -> None:
        """Replace what the file says."""
        data = text.encode(errors="replace")[:_MAX_BYTES]
        with naming(self.path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, data, 0)

    def _is_current(self) -> bool:
        """Tell whether the open file still has its name: the last process of before may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        # Closing releases both locks at once.
        os.close(self._descriptor)
        self._descriptor = -1
