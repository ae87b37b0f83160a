"""SIGTERM and SIGINT while training: the step in hand ends before the process does."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Notes a signal that asks the process to stop, for the one who looks; use it as a context manager.

    It is passive until `catch` is called, and leaves the handlers as they were. Python handles signals in the main
    thread only, so in another thread it does nothing. MindSpore catches SIGINT anew in every step, and makes one that
    comes while the step runs a SIGTERM.

    Attributes:
        received: The signal that came first, None before one has come.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def __enter__(self) -> StopSignal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None is a handler that was not set from Python and cannot be set from here.
            self._handle(number, signal.SIG_DFL if handler is None else handler)

    def catch(self) -> None:
        """Note the signals from here on; also where another library has put its own handler in the meantime."""
        for number in STOP_SIGNALS:
            self._handle(number, self._note)

    def let_through(self) -> None:
        """Let the signals end the process at once: while it has nothing to lose, or a library call takes minutes."""
        for number in STOP_SIGNALS:
            self._handle(number, signal.SIG_DFL)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
        # Unlike print, this may be done in the middle of any other output.
        os.write(2, f"{signal.Signals(number).name} received: stopping after this step\n".encode())

    @staticmethod
    def _handle(number: signal.Signals, handler: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, handler)  # type: ignore[arg-type]
