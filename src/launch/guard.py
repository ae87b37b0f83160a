"""The launcher in two processes, so that a SIGKILL of either leaves no rank behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from src.common.stop_signals import STOP_SIGNALS
from src.launch.processes import adopt_orphans, descendants, describe_status, send
from src.launch.rank_entry import end_with

_TICK = 0.1


def guard(stop_seconds: float) -> None:
    """Go on in a child process, whose parent forwards signals to it and ends with its status.

    The child gets SIGTERM when the parent is killed. When the child is killed, the kernel asks the ranks to end, and
    the parent kills what has not ended after a while.

    Args:
        stop_seconds: This while.
    """
    adopt_orphans()
    lifeline, held = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until somebody is there who can take them
    child = os.fork()
    if not child:
        os.setsid()  # else Ctrl-C in a terminal would reach it twice, and a kill of the process group both
        os.close(held)
        end_with(lifeline)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return
    os.close(lifeline)
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda found, _: send(found, [child]))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    status = _wait(child)
    if status < 0:
        _end_all(stop_seconds)
        if -status not in STOP_SIGNALS:
            print(
                f"error: the launcher {describe_status(status)}: its processes have been ended",
                file=sys.stderr,
                flush=True,
            )
    os._exit(status if status >= 0 else 128 - status)


def _wait(child: int) -> int:
    """Return how a child ended, as a status or minus the number of a signal; take note of orphans meanwhile."""
    while True:
        process, status = os.wait()
        if process == child:
            return os.waitstatus_to_exitcode(status)


def _end_all(stop_seconds: float) -> None:
    """Wait for the end of all processes below this one, and kill those that do not end."""
    kill_at = time.monotonic() + stop_seconds
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            if time.monotonic() > kill_at:
                send(signal.SIGKILL, descendants())
            time.sleep(_TICK)
