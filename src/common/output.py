"""What a command prints: it never ends the work, and no name in it can steer a terminal."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from src.common.files import CONTROLS, escape

_CONTROL = re.compile(f"(?![\n\t]){CONTROLS}")  # lines and tables are the command's own


class Output:
    """A text stream whose failures are noted, not raised, and that escapes what would steer a terminal.

    Args:
        stream: Where the text goes.
        escapes: Whether control characters other than line ends and tabulators are written as `\\x1b` and the like.
        stderr: What sys.stderr is to be while this is sys.stdout: MindSpore puts one of its own there when it compiles.

    """

    def __init__(self, stream: TextIO, *, escapes: bool = True, stderr: Output | None = None) -> None:
        self._failures: list[OSError | ValueError] = []
        self._stream = stream
        self._is_own = stream in (sys.__stdout__, sys.__stderr__)  # asked now, as MindSpore puts others there
        self._stderr = stderr
        self._escapes = escapes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._put_back()
        shown = _CONTROL.sub(lambda found: escape(found[0]), text) if self._escapes else text
        try:
            self._stream.write(shown)
        except (OSError, ValueError) as error:  # ValueError: closed, or no such character in its encoding
            self._failures[1:] = [error]  # the first one counts, and the last: no more are kept
        return len(text)

    def flush(self) -> None:
        self._put_back()
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._failures[1:] = [error]  # the first one counts, and the last: no more are kept

    def unescaped(self) -> Output:
        """Return the same stream for text that is meant to hold control characters."""
        output = Output(self._stream, escapes=False)
        output._failures = self._failures
        return output

    def lost(self) -> str:
        """Return why text was lost, empty if none was, or if its reader has left, as `head` does."""
        error = self._failures[0] if self._failures else None
        if error is None or (isinstance(error, OSError) and error.errno == errno.EPIPE):
            return ""
        return (error.strerror if isinstance(error, OSError) else None) or str(error)

    def close(self) -> None:
        """Write out what waits; what cannot be written is dropped, or Python would try again as it ends."""
        self.flush()
        if self._failures and self._is_own:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def _put_back(self) -> None:
        if self._stderr and cast(object, sys.stdout) is self:
            sys.stderr = cast(TextIO, self._stderr)


@contextmanager
def safe_output() -> Iterator[Output]:
    """Make stdout and stderr safe for the time of the block, and yield stdout.

    A closed one is that of no one. It is opened all the same: else the next file that is opened would get its number,
    and a library that writes to stderr would write into a checkpoint.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    stderr = Output(_prepare(before[1]))
    stdout = Output(_prepare(before[0]), stderr=stderr)
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, stderr)
    try:
        yield stdout
    finally:
        stdout.close()
        stderr.close()
        sys.stdout, sys.stderr = before


def raw(stream: TextIO) -> TextIO:
    """Return a stream for text that holds control characters on purpose, such as a bar or a file for programs."""
    return cast(TextIO, stream.unescaped()) if isinstance(stream, Output) else stream


def _prepare(stream: TextIO | None) -> TextIO:
    """Return a stream that writes every character; a closed one is the null device."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")
    return stream


def _open_closed() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, this one
            os.set_inheritable(number, True)
