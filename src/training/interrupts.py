"""Ctrl-C while a step runs: MindSpore makes it a SIGTERM there, unless its handler is taken away again."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from typing import Any

_SECONDS = 0.01  # from one look at the handler to the next
_MOMENT = 0.0002  # the same while a handler of MindSpore's is expected, a millisecond or a few after a step's beginning
_EXPECTED = 0.1  # for how long it is
_ACTION_BYTES = 512  # more than any system's struct sigaction has; the handler comes first


class InterruptKeeper:
    """Keeps Python's handler of SIGINT in place, by a thread of its own; passive until `keep` is called.

    MindSpore sets its own once at the start of every step, by which SIGINT becomes SIGTERM. What comes in the fraction
    of a millisecond before the thread looks still does: the status is that of SIGTERM then. On Windows, which
    has no such handlers, it does nothing.
    """

    def __init__(self) -> None:
        self._sigaction: Any = None if sys.platform == "win32" else ctypes.CDLL(None).sigaction
        self._wanted: bytes | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_begun = threading.Event()  # a step, perhaps
        self._thread: threading.Thread | None = None

    def keep(self) -> None:
        """Keep the handler that is set now; to be called before every step."""
        if not self._sigaction:
            return
        with self._lock:
            self._wanted = self._current()
        self._is_begun.set()
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
        while not self._is_over.is_set():
            if self._is_begun.wait(_SECONDS):
                self._is_begun.clear()
                end = time.monotonic() + _EXPECTED
                while time.monotonic() < end and not (self._put_back() or self._is_over.is_set()):
                    time.sleep(_MOMENT)
            self._put_back()

    def _put_back(self) -> bool:
        """Put the handler back; return whether another one was there."""
        size = ctypes.sizeof(ctypes.c_void_p)
        with self._lock:
            if not self._wanted or self._current()[:size] == self._wanted[:size]:
                return False
            self._sigaction(int(signal.SIGINT), self._wanted, None)
            return True

    def _current(self) -> bytes:
        action = ctypes.create_string_buffer(_ACTION_BYTES)
        self._sigaction(int(signal.SIGINT), None, action)
        return action.raw
