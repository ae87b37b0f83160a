"""Programs that are run one after the other, whose output a person follows."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from src.common.stop_signals import STOP_SIGNALS


@dataclass(frozen=True)
class Stage:
    """A part of a longer work.

    Args:
        name: What is done, for people.
        command: Returns the script and its options; is called when the stages before have ended.
        result: The file or folder whose presence says that it is done.
        accepted: Statuses with which the work goes on.
        is_noted: Whether the caller writes this file itself, with what the program has printed.
    """

    name: str
    command: Callable[[], list[str]]
    result: Path
    accepted: tuple[int, ...] = (0,)
    is_noted: bool = False


def call(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run a program to its end, which signals reach; what it prints is printed.

    Args:
        command: The program and its arguments.

    Returns:
        Its status, 128 and the signal's number after a signal, and the lines that it has printed on stdout.

    Raises:
        OSError: If it cannot be started.
    """
    lines = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="backslashreplace")
    with process, _passed_on(process):
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            print(lines[-1], flush=True)
        status = process.wait()
    return (status if status >= 0 else 128 - status), lines


@contextmanager
def _passed_on(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a program end in its own good order when this process is asked to: wait for it, and pass signals on."""

    def pass_on(number: int, _: FrameType | None) -> None:
        # Ctrl-C reaches all processes of a terminal; Windows knows no other way to ask.
        if number != signal.SIGINT and sys.platform != "win32":
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS if _is_heeded(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_heeded(number: int) -> bool:
    """Tell whether a signal ends this process; nohup has SIGHUP ignored."""
    return signal.getsignal(number) not in (signal.SIG_IGN, None)
