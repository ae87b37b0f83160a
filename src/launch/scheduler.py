"""The scheduler that a dynamic cluster of MindSpore needs: beside a rank, where no launcher has started it."""

from __future__ import annotations

import os
import signal
import sys

from src.common.stop_signals import STOP_SIGNALS
from src.launch.processes import describe_status, send
from src.launch.rank_entry import end_with


def go_on_beside_scheduler() -> None:
    """Go on in two child processes, one a scheduler and one a rank, whose parent waits for both.

    MindSpore must not be imported yet. Signals that the parent gets go to the rank. When the rank has ended well, the
    scheduler ends by itself after the last of all ranks; otherwise it is ended with it. Both get SIGTERM when the
    parent is killed.

    Raises:
        SystemExit: In the parent, at their end, with the status of the rank.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until somebody is there who can take them
    held: list[int] = []
    scheduler = _fork(held)
    if not scheduler:
        os.environ["MS_ROLE"] = "MS_SCHED"
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)  # the rank says the same
        return
    rank = _fork(held)
    if not rank:
        return
    receiver = [rank]
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda found, _: send(found, receiver))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    status = _wait(rank, scheduler, receiver)
    sys.exit(status if status >= 0 else 128 - status)


def _fork(held: list[int]) -> int:
    """Fork; the child, which gets 0, ends when the parent is killed.

    Args:
        held: The ends of pipes that tell children of it, which the parent alone keeps; gets one more.
    """
    lifeline, end = os.pipe()
    held.append(end)
    sys.stdout.flush()  # else both would print what waits there
    child = os.fork()
    if not child:
        for end in held:
            os.close(end)
        end_with(lifeline)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    else:
        os.close(lifeline)
    return child


def _wait(rank: int, scheduler: int, receiver: list[int]) -> int:
    """Wait for a rank and then its scheduler; return how the rank ended, as a status or minus a signal.

    Args:
        rank: Id of the process.
        scheduler: Id of the process.
        receiver: Whom signals are for, the rank while it lives; is changed at its end.
    """
    process, waited = os.wait()
    status = os.waitstatus_to_exitcode(waited)
    if process == scheduler:
        if status:
            print(
                f"error: the scheduler where the ranks meet {describe_status(status)}; is its port, "
                f"{os.environ['MS_SCHED_PORT']}, in use? MASTER_PORT names another one",
                file=sys.stderr,
                flush=True,
            )
            send(signal.SIGTERM, [rank])
        status = os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) or status
    else:
        receiver[:] = [scheduler]
        if status:
            send(signal.SIGTERM, [scheduler])
        os.waitpid(scheduler, 0)
    return status
