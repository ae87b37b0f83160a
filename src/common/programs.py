"""Other programs, which may fail, crash or never end."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

_MOST_OUTPUT = 1 << 20


def run_program(command: Sequence[str], seconds: float, variables: Mapping[str, str] | None = None) -> None:
    """Run a program to its end, out of reach of Ctrl-C and without input; it ends with this call, however that ends.

    Args:
        command: The program and its arguments.
        seconds: How long it may take; it is killed with all that it has started then.
        variables: Its environment; None is that of this process.

    Raises:
        OSError: If it cannot be started, fails, crashes or takes too long; the text is the reason, one line.
    """
    with tempfile.TemporaryFile() as said:  # not a pipe, which a grandchild could keep open
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=variables, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise OSError(f"it takes longer than {seconds:g} s") from None
        except BaseException:
            _kill(process)
            raise
        if status:
            said.seek(0)
            raise OSError(_reason(said.read(_MOST_OUTPUT).decode(errors="backslashreplace"), status))


def _kill(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)  # a compiler's own children too; the leader is still there to name them by
    process.wait()


def _reason(output: str, status: int) -> str:
    """Return the line that tells most of why a program has failed."""
    lines = ["".join(letter if letter.isprintable() else "?" for letter in line) for line in output.splitlines()]
    lines = [line.strip() for line in lines if line.strip()]
    if lines:
        return next((line for line in lines if "error:" in line.lower()), lines[0])
    return f"it says nothing and ends with {signal.strsignal(-status) if status < 0 else f'status {status}'}"
