"""What the launcher says; that nobody hears it, as after `| head` or in a terminal that was closed, ends no rank."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None) -> None:
    """Print a line, or nothing any more where it cannot be written.

    Args:
        text: The line.
        stream: sys.stdout or sys.stderr, None if that was closed from the beginning.
    """
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except OSError:
        hush(stream)


def hush(stream: TextIO) -> None:
    """Let a stream that cannot be written lead to nowhere: Python would fail with what is left in it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_error(text: str) -> None:
    """Print a line on stderr, where that can be written."""
    say(text, sys.stderr)
