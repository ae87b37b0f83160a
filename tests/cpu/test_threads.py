"""The operators compute by a share of the cores: those of other ranks on the same cores are left to them."""

from __future__ import annotations

import ctypes

import pytest

from src.cpu import threads
from src.cpu.threads import share_cores
from src.model_utils.local_adapter import ALONE, Group
from src.model_utils.shared_processors import Share

pytestmark = pytest.mark.slow


@pytest.fixture
def functions(library, monkeypatch):
    """The library's functions; at the end it computes by all cores again."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    functions = ctypes.CDLL(str(library))
    yield functions
    functions.XceptionUseThreads(functions.XceptionUsableThreads())


@pytest.mark.parametrize(("share", "usable", "expected"), [(None, 2, 2), (1, 2, 1), (12, 96, 12), (12, 4, 4)])
def test_a_rank_computes_by_its_share_of_the_cores(functions, library, monkeypatch, share, usable, expected):
    monkeypatch.setattr(threads, "_usable", lambda _: usable)
    share_cores(library, share and Share(share, 96, 8))
    assert functions.XceptionThreads() == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1), ("3, 1", 3), (" 999 ", 4), ("", 2), ("0", 2), ("many", 2), ("-1", 2)]
)
def test_omp_num_threads_counts_instead_up_to_the_cores(functions, library, monkeypatch, capsys, text, expected):
    monkeypatch.setattr(threads, "_usable", lambda _: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    share_cores(library, Share(2, 4, 2))
    assert functions.XceptionThreads() == expected
    is_bad = bool(text) and expected == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "compute by" not in line]
    assert said == [f"OMP_NUM_THREADS is {text!r}, no number from 1 on: not used"] * is_bad


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(
    ("text", "share", "group", "said"),
    [
        ("1", None, ALONE, "compute by 1 of the 4 cores that this process could use: OMP_NUM_THREADS=4"),
        ("3,2", None, ALONE, "compute by 3 of the 4 cores that this process could use: OMP_NUM_THREADS=4"),
        ("1", Share(2, 4, 2), Group(0, 2), "compute by 1 of the 2 cores that each rank could use: OMP_NUM_THREADS=2"),
        ("1", Share(2, 4, 2), Group(1, 2), ""),  # the first rank says it
        ("2", Share(2, 4, 2), Group(0, 2), ""),  # as many as it has
        ("4", None, ALONE, ""),
        ("", None, ALONE, ""),
    ],
)
def test_cores_that_omp_num_threads_leaves_idle_are_told(library, monkeypatch, capsys, text, share, group, said):
    monkeypatch.setattr(threads, "_usable", lambda _: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    share_cores(library, share, group)
    errors = capsys.readouterr().err
    assert errors.startswith(f"OMP_NUM_THREADS is {text}, so") if said else errors == ""
    assert said in errors
    assert len(errors.splitlines()) == bool(said)
