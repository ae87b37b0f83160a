"""Kill a command in the middle of its work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tests.helpers.project import ROOT


def kill_when(script: str, words: list[str], reached: Callable[[], bool]) -> None:
    """Run a command of the project, SIGKILL it when a point is reached, and wait until its children have ended too.

    Nothing ends the children but themselves: their output, which they share with the command, is read to its end.
    """
    command = [sys.executable, ROOT / script, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 200
        while not reached():
            assert process.poll() is None, f"ended before it could be killed: {process.stdout.read()}"
            assert time.monotonic() < deadline, "too slow"
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert ", complete" not in process.stdout.read()
