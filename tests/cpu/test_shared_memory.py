"""Ranks of one machine average by memory that they share: what numpy adds up, and without those that have ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.memory_rank import Rank
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def memory(library) -> Iterator[str]:
    """A path of memory for four ranks, or less."""
    file = os.memfd_create("xception-test")
    os.posix_fallocate(file, 0, ctypes.CDLL(str(library)).XceptionSharedBytes(4))
    yield f"/proc/{os.getpid()}/fd/{file}"
    os.close(file)


def start(library: Path, memory: str, *acts: str) -> list[subprocess.Popen]:
    """Start a rank for each act; each begins when all have joined."""
    command = [sys.executable, ROOT / "tests" / "helpers" / "memory_rank.py", library, memory]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(len(acts)), act],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank, act in enumerate(acts)
    ]  # fmt: skip
    assert [rank.stdout.readline() for rank in ranks] == ["joined\n"] * len(acts)
    for rank in ranks:
        rank.stdin.write("begin\n")
        rank.stdin.flush()
    return ranks


@pytest.mark.parametrize("count", [2, 4])
def test_ranks_get_the_means_of_any_tensors_to_the_bit(library, memory, count):
    for rank in start(library, memory, *["means"] * count):
        output = rank.communicate(timeout=60)
        assert (rank.returncode, *output) == (0, "", "")


def test_those_that_wait_for_a_killed_rank_are_told_so_even_where_it_has_left_a_child(library, memory):
    waiting, killed = start(library, memory, "wait", "leave a child")
    child = int(killed.stdout.readline())
    killed.kill()
    begin = time.monotonic()
    output = waiting.communicate(timeout=60)
    assert time.monotonic() - begin > 1  # who keeps ranks together notices first which one has ended
    os.kill(child, signal.SIGKILL)
    killed.communicate()
    said = "the mean of the gradients in C++ fails: rank 1 has ended: its own log tells why\n"
    assert (waiting.returncode, *output) == (0, said, "")


def test_nothing_but_float32_is_averaged_and_nothing_without_other_ranks(library, memory):
    rank = Rank(str(library), memory, 1, 2)
    with pytest.raises(ValueError, match="there is one of float16, which is not float32"):
        rank.means([np.zeros(3, np.float16)])
    rank.functions.XceptionLeave()
    assert rank.functions.XceptionRanks() == 1
    with pytest.raises(ValueError, match="the ranks share no memory"):
        rank.means([np.zeros(3, np.float32)])
