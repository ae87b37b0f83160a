"""The progress display, on a terminal and in a log file, with a clock that the tests turn."""

from __future__ import annotations

import fcntl
import io
import math
import os
import pty
import struct
import termios

import pytest

from src.common.progress import Progress, format_duration

ERASE = "\r\x1b[K"


class Clock:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_log_lines_come_at_most_once_per_interval_and_end_with_a_summary(clock):
    stream = io.StringIO()
    with Progress(359, "evaluate", stream=stream, clock=clock) as progress:
        for _ in range(8):
            clock.now += 4
            progress.update(40)
        clock.now += 1
        progress.update(39)
    assert stream.getvalue().splitlines() == [
        "evaluate: 120/359 images (33%), 10.0 images/s, ETA 0:00:24",
        "evaluate: 240/359 images (66%), 10.0 images/s, ETA 0:00:12",
        "evaluate: 359/359 images (100%), 10.9 images/s, took 0:00:33",
    ]


def test_short_work_leaves_one_line_in_a_log(clock):
    stream = io.StringIO()
    with Progress(2, "export", unit="files", stream=stream, clock=clock) as progress:
        progress.update(note="a.onnx")
        clock.now += 4
        progress.update(note="b.mindir")
    assert stream.getvalue() == "export: 2/2 files (100%), 0.50 files/s, took 0:00:04, b.mindir\n"


def test_a_slow_start_does_not_spoil_the_estimate(clock):
    stream = io.StringIO()
    progress = Progress(1000, "train", unit="steps", stream=stream, log_seconds=0, clock=clock)
    clock.now += 300
    progress.update()
    assert stream.getvalue().endswith("ETA 83:15:00\n")
    for _ in range(60):
        clock.now += 1
        progress.update(10)
    assert stream.getvalue().endswith("10.0 steps/s, ETA 0:00:40\n")
    progress.close()
    assert stream.getvalue().endswith("1.67 steps/s, took 0:06:00\n")


def test_rare_updates_still_give_a_rate(clock):
    stream = io.StringIO()
    progress = Progress(10, "train", unit="epochs", stream=stream, clock=clock)
    for _ in range(4):
        clock.now += 100
        progress.update()
    assert stream.getvalue().endswith("4/10 epochs (40%), 0.01 epochs/s, ETA 0:10:00\n")


def test_the_bar_is_redrawn_in_place_ten_times_a_second_at_most(clock, terminal):
    with Progress(1000, "check", stream=terminal, clock=clock) as progress:
        for _ in range(1000):
            clock.now += 0.001
            progress.update(note="2 bad")
    draws = terminal.getvalue().split(ERASE)
    assert draws[0] == ""
    assert 10 <= len(draws) - 1 <= 12
    assert "\n" not in "".join(draws[:-1])
    assert draws[5].startswith("check: [############------------------] 401/1000 images (40%), 1000.0 images/s, ETA")
    assert draws[5].endswith("ETA 0:00:01, 2 bad")
    assert draws[-1] == "check: 1000/1000 images (100%), 1000.0 images/s, took 0:00:01, 2 bad\n"


@pytest.mark.parametrize("columns", [1, 10, 40, 60, 80, 200])
def test_no_line_is_as_wide_as_the_terminal(columns, clock, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    with Progress(10, "check", stream=terminal, clock=clock) as progress:
        clock.now += 1
        progress.update(5, "a remark that takes its room")
    assert max(len(line) for line in terminal.getvalue().rstrip("\n").split(ERASE)) < max(columns, 1)


def test_the_width_is_that_of_the_terminal_written_to(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with os.fdopen(writer, "w") as stream:
        progress = Progress(10, "c", stream=stream, clock=clock)
        clock.now += 1
        progress.update(5)
        drawn = os.read(reader, 1000).decode().removeprefix(ERASE)
    os.close(reader)
    assert drawn == "c: [####----] 5/10 images (50%), 5.00 images/s, ETA 0:00:01"


def test_clear_makes_room_for_a_log_line_and_the_bar_comes_back(clock, terminal):
    progress = Progress(10, "train", stream=terminal, clock=clock)
    progress.update()
    before = len(terminal.getvalue())
    progress.clear()
    assert terminal.getvalue()[before:] == ERASE
    progress.update()  # at the same moment: erased bars do not wait for their turn
    assert "2/10" in terminal.getvalue()[before:]
    progress.close()
    length = len(terminal.getvalue())
    progress.clear()
    progress.close()
    assert len(terminal.getvalue()) == length


def test_clear_writes_nothing_into_a_log():
    stream = io.StringIO()
    Progress(10, "train", stream=stream).clear()
    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_plain_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress(1, "check", stream=terminal, clock=clock) as progress:
        progress.update()
    assert "\x1b" not in terminal.getvalue()


def test_stderr_is_the_default(capsys):
    with Progress(0, "check"):
        pass
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("check: 0/0 images (100%)")


def test_an_error_leaves_a_final_line_that_does_not_claim_success(clock):
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress(1000, "train", stream=stream, clock=clock) as progress:
        progress.update(999)
        raise KeyboardInterrupt
    assert stream.getvalue().startswith("train: 999/1000 images (99%)")


def test_more_than_the_total_is_shown_as_it_is(clock, terminal):
    with Progress(2, "check", stream=terminal, clock=clock) as progress:
        clock.now += 1
        progress.update(3)
    assert "3/2 images (100%), 3.00 images/s, ETA 0:00:00" in terminal.getvalue()


def test_a_negative_total_is_an_error():
    with pytest.raises(ValueError, match="got -1"):
        Progress(-1, "check")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (59.4, "0:00:59"),
        (59.6, "0:01:00"),
        (250, "0:04:10"),
        (3600, "1:00:00"),
        (360000, "100:00:00"),
        (-1, "-:--:--"),
        (math.inf, "-:--:--"),
        (math.nan, "-:--:--"),
    ],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text
