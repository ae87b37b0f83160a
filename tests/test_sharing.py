"""What the tests make once: whole or not at all, for all processes of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.project import ROOT
from tests.helpers.sharing import made_once

MAKER = """
import os, sys, time
from pathlib import Path
from tests.helpers.sharing import made_once

def make(folder):
    with open(folder.parent / "times", "a") as times:
        times.write("x")
    (folder / "half").touch()
    if sys.argv[2] == "killed":
        print("half", flush=True)
        time.sleep(60)
    (folder / "half").rename(folder / "whole")
    return folder / "whole"

print(made_once(Path(sys.argv[1]), "made", make))
"""


def start(base: Path, ending: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(base), ending]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_make_it_once(tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in processes] == [str(tmp_path / "made" / "whole")] * 2
    assert (tmp_path / "times").read_text() == "x"


def test_what_a_killed_process_left_is_made_anew(tmp_path):
    process = start(tmp_path, "killed")
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    assert start(tmp_path).communicate()[0].strip() == str(tmp_path / "made" / "whole")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["whole"]


def test_what_failed_is_made_by_the_next(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        made_once(tmp_path, "made", fail)
    assert made_once(tmp_path, "made", lambda folder: list(folder.iterdir())) == []
