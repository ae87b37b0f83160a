"""A progress display without dependencies: a bar on a terminal, now and then a line in a log file."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO, final

from src.common.output import raw

_REDRAW_SECONDS = 0.1  # at most ten redraws a second
_WINDOW_SECONDS = 30.0
_SAMPLE_SECONDS = 1.0
_BAR_WIDTHS = range(5, 31)  # a shorter bar says nothing, a longer one says no more
_ERASE_LINE = "\r\x1b[K"


@final
class Progress:
    """Shows how far some work is, how fast it goes and when it will be done; use it as a context manager.

    The rate and the ETA come from the last 30 seconds: the first steps (compiling a graph, starting workers, a cold
    disk) are far slower than the rest and would spoil an average over everything. The final line gives that average.

    Args:
        total: Number of units to do, >= 0.
        label: What is being done, first word of the line.
        unit: What is counted, in the plural.
        stream: Where to write; None takes stderr, so that results on stdout stay clean.
        log_seconds: Least time in seconds between two lines when the stream is no terminal.
        clock: Returns the time in seconds.

    Raises:
        ValueError: If total is negative.
    """

    def __init__(
        self,
        total: int,
        label: str,
        unit: str = "images",
        *,
        stream: TextIO | None = None,
        log_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if total < 0:
            raise ValueError(f"total of the progress must be >= 0, got {total}")
        self._total = total
        self._label = label
        self._unit = unit
        self._stream = raw(sys.stderr) if stream is None else stream
        self._on_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._interval = _REDRAW_SECONDS if self._on_terminal else log_seconds
        self._clock = clock
        self._start = clock()
        self._samples = deque([(self._start, 0)])
        # A bar is drawn at once, a log line only after the first interval: short work leaves one line in a log.
        self._last_shown = -math.inf if self._on_terminal else self._start
        self._count = 0
        self._note = ""
        self._closed = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, count: int = 1, note: str = "") -> None:
        """Count finished units and show them if it is time to.

        Args:
            count: How many more are done, >= 0.
            note: A short remark for the end of the line; empty keeps the last one.
        """
        now = self._clock()
        self._count += count
        self._note = note or self._note
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self._count))
        # The oldest sample kept is the last one before the window, so that rare updates still give a rate.
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()
        if now - self._last_shown >= self._interval:
            self._last_shown = now
            self._show(now)

    def clear(self) -> None:
        """Erase the bar, so that an ordinary line can be printed; the next update draws it again."""
        if self._on_terminal and not self._closed:
            self._stream.write(_ERASE_LINE)
            self._stream.flush()
            self._last_shown = -math.inf

    def close(self) -> None:
        """Write the final line, with the average rate and the whole time; a second call does nothing."""
        if self._closed:
            return
        elapsed = self._clock() - self._start
        rate = self._count / elapsed if elapsed > 0 else 0.0
        line = f"{self._label}: {self._done()}, {self._speed(rate)}, took {format_duration(elapsed)}{self._remark()}"
        if self._on_terminal:
            line = _ERASE_LINE + line[: _terminal_width(self._stream) - 1]
        self._stream.write(f"{line}\n")
        self._stream.flush()
        self._closed = True

    def _show(self, now: float) -> None:
        """Draw the bar, or write a log line."""
        since, before = self._samples[0]
        rate = (self._count - before) / (now - since) if now > since else 0.0
        left = max(self._total - self._count, 0)
        eta = format_duration(left / rate if rate > 0 else math.inf)
        text = f"{self._done()}, {self._speed(rate)}, ETA {eta}{self._remark()}"
        if self._on_terminal:
            # The last column stays free: some terminals wrap as soon as it is filled.
            width = _terminal_width(self._stream) - 1
            bar = self._bar(width - len(f"{self._label}: {text}"))
            self._stream.write(_ERASE_LINE + f"{self._label}: {bar}{text}"[:width])
        else:
            self._stream.write(f"{self._label}: {text}\n")
        self._stream.flush()

    def _bar(self, room: int) -> str:
        """Return a bar that fits in the room (columns), or nothing when there is too little."""
        width = min(room - len("[] "), _BAR_WIDTHS[-1])
        if width not in _BAR_WIDTHS:
            return ""
        filled = int(width * self._share())
        return f"[{'#' * filled}{'-' * (width - filled)}] "

    def _share(self) -> float:
        """Return the part that is done, 0 to 1."""
        return min(self._count / self._total, 1.0) if self._total else 1.0

    def _done(self) -> str:
        # Rounded down: 100% is said of nothing unfinished.
        return f"{self._count}/{self._total} {self._unit} ({int(100 * self._share())}%)"

    def _speed(self, rate: float) -> str:
        return f"{rate:.{1 if rate >= 10 else 2}f} {self._unit}/s"

    def _remark(self) -> str:
        return f", {self._note}" if self._note else ""


def format_duration(seconds: float) -> str:
    """Write a duration as hours, minutes and seconds.

    Args:
        seconds: The duration; rounded to whole seconds.

    Returns:
        Text like "0:04:10"; "-:--:--" when it is negative or not finite, that is unknown.
    """
    if not math.isfinite(seconds) or seconds < 0:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _terminal_width(stream: TextIO) -> int:
    """Return the columns of the terminal now; it may have been resized."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    # A pseudo-terminal may say 0.
    return columns or shutil.get_terminal_size().columns
