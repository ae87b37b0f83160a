"""The operators compute by a share of the cores: those of other ranks on the same cores are left to them."""

from __future__ import annotations

import ctypes
import zlib

import numpy as np
import pytest

from src.cpu import threads
from src.cpu.threads import share_cores
from src.model_utils import local_adapter
from src.model_utils.local_adapter import Group, count_alike
from tests.helpers.cpu_library import configuration

pytestmark = pytest.mark.slow


@pytest.fixture
def functions(library, monkeypatch):
    """The library's functions; at the end it computes by all cores again."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    functions = ctypes.CDLL(str(library))
    yield functions
    functions.XceptionUseThreads(functions.XceptionUsableThreads())


@pytest.mark.parametrize(("ranks", "usable", "expected"), [(1, 2, 2), (2, 2, 1), (3, 8, 2), (8, 2, 1)])
def test_ranks_on_the_same_cores_have_equal_shares(functions, library, monkeypatch, ranks, usable, expected):
    monkeypatch.setattr(threads, "count_alike", lambda *_: ranks)
    monkeypatch.setattr(threads, "_usable", lambda _: usable)
    share_cores(configuration(), library, Group(0, 8))
    assert functions.XceptionThreads() == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1), ("3, 1", 3), (" 999 ", 4), ("", 2), ("0", 2), ("many", 2), ("-1", 2)]
)
def test_omp_num_threads_counts_instead_up_to_the_cores(functions, library, monkeypatch, capsys, text, expected):
    monkeypatch.setattr(threads, "count_alike", lambda *_: 2)
    monkeypatch.setattr(threads, "_usable", lambda _: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    share_cores(configuration(), library, Group(0, 2))
    assert functions.XceptionThreads() == expected
    is_bad = bool(text) and expected == 2
    assert capsys.readouterr().err == f"OMP_NUM_THREADS is {text!r}, no number from 1 on: not used\n" * is_bad


@pytest.mark.parametrize(("others", "expected"), [("aa", 3), ("ab", 2), ("bb", 1)])
def test_only_ranks_that_say_the_same_are_counted(monkeypatch, others, expected):
    rows = np.array([zlib.crc32(others[0].encode()), 0, zlib.crc32(others[1].encode())])  # the second is this one's
    monkeypatch.setattr(local_adapter, "sum_over_ranks", lambda own, _: own + rows)
    assert count_alike("a", Group(1, 3)) == expected
