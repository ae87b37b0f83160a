"""How a rank ends: with the status of its work, whatever happens while it leaves the group."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.project import ROOT

# Ends with a signal as Python ends, in a thread that Python does not know: as MindSpore's threads do while it leaves.
CRASH = """
import atexit, ctypes
libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
def crash():
    libc.pthread_create(ctypes.byref(thread), None, getattr(libc, "raise"), ctypes.c_void_p({number}))
    libc.pthread_join(thread, None)
atexit.register(crash)
"""
END = "import sys; sys.path.insert(0, {root!r}); from src.launch.leaving import leave; sys.exit(leave({status}))"
SIGABRT, SIGBUS, SIGSEGV = 6, 7, 11


def end(code: str, role: str = "MS_WORKER") -> subprocess.CompletedProcess:
    """Run code as a process of a group."""
    environment = {**os.environ, "MS_ROLE": role}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("number", [SIGABRT, SIGBUS, SIGSEGV])
@pytest.mark.parametrize("status", [0, 3])
def test_a_crash_while_a_rank_leaves_changes_its_status_neither_way(number, status):
    code = f"print('said', flush=True)\n{CRASH.format(number=number)}\n{END.format(root=str(ROOT), status=status)}"
    result = end(code)
    assert (result.returncode, result.stdout) == (status, "said\n")


def test_a_crash_before_the_end_of_the_work_stays_one():
    code = f"import os\nos.kill(os.getpid(), {SIGSEGV})\n{END.format(root=str(ROOT), status=0)}"
    assert end(code).returncode == -SIGSEGV


def test_a_process_of_no_group_ends_as_it_does():
    code = f"{CRASH.format(number=SIGSEGV)}\n{END.format(root=str(ROOT), status=0)}"
    assert end(code, role="").returncode == -SIGSEGV


@pytest.mark.parametrize("door", ["train.py", "eval.py"])
def test_the_doors_of_ranks_end_so(tmp_path, door):
    """An error that is told before MindSpore is imported, and then the crash."""
    Path(tmp_path, "sitecustomize.py").write_text(CRASH.format(number=SIGSEGV))
    environment = {**os.environ, "MS_ROLE": "MS_WORKER", "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, str(ROOT / door), "--no_such_option=1"]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr.partition(";")[0]) == (2, "error: unknown option --no_such_option")
