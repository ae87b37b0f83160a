"""Ctrl-C while a step runs: MindSpore makes it a SIGTERM there, unless its handler is taken away again."""

from __future__ import annotations

import ctypes
import signal
import threading

_SECONDS = 0.01  # from one look at the handler to the next
_ACTION_BYTES = 512  # more than any system's struct sigaction has; the handler comes first


class InterruptKeeper:
    """Keeps Python's handler of SIGINT in place, by a thread of its own; passive until `keep` is called.

    MindSpore sets its own at the start of every step, by which SIGINT becomes SIGTERM. What comes in the moment before
    the thread looks still does.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._wanted: bytes | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self) -> None:
        """Keep the handler that is set now."""
        with self._lock:
            self._wanted = self._current()
        if not self._thread:
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()

    def let_go(self) -> None:
        """Leave the handler to whoever sets one."""
        with self._lock:
            self._wanted = None

    def end(self) -> None:
        """Leave the handler alone for good."""
        self.let_go()
        self._is_over.set()
        if self._thread:
            self._thread.join()

    def _look(self) -> None:
        size = ctypes.sizeof(ctypes.c_void_p)
        while not self._is_over.wait(_SECONDS):
            with self._lock:
                if self._wanted and self._current()[:size] != self._wanted[:size]:
                    self._libc.sigaction(int(signal.SIGINT), self._wanted, None)

    def _current(self) -> bytes:
        action = ctypes.create_string_buffer(_ACTION_BYTES)
        self._libc.sigaction(int(signal.SIGINT), None, action)
        return action.raw
