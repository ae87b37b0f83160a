"""What the tests make once: whole or not at all, for all processes of a run, and anew where anything differs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import object_cache
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


@pytest.fixture
def compile_in(tmp_path, monkeypatch):
    """Compiles a file of a copy of a small program; returns its status, its object and how often a compiler ran."""
    (tmp_path / "objects").mkdir()
    monkeypatch.setenv("OBJECTS_OF_THE_RUN", str(tmp_path / "objects"))
    compiler = tmp_path / "compiler"
    compiler.write_text(
        f'#!/bin/sh\necho >> "{tmp_path}/times"\ncat "$6" > "$4"; echo "a: $6" > "$2"; ! grep wrong "$6"\n'
    )
    compiler.chmod(0o755)

    def run(copy: str, source: str = "", header: str = "") -> tuple[int, str, str, int]:
        program = tmp_path / copy / "ascend310_infer"
        (program / "inc").mkdir(parents=True, exist_ok=True)
        (program / "a.cc").write_text(source)
        (program / "inc" / "a.h").write_text(header)
        made, depends = tmp_path / copy / "a.o", tmp_path / copy / "a.d"
        words = [str(compiler), "-MF", "a.d", "-o", "a.o", "-c", str(program / "a.cc")]
        monkeypatch.chdir(tmp_path / copy)
        status = object_cache.main(words)
        return status, made.read_text(), depends.read_text(), (tmp_path / "times").read_text().count("\n")

    return run


def test_a_copy_of_the_program_takes_the_object_and_anything_that_differs_does_not(compile_in, tmp_path):
    status, made, depends, times = compile_in("one", "int a;", "// a")
    assert (status, made, times) == (0, "int a;", 1)
    again = compile_in("two", "int a;", "// a")
    assert again == (0, made, depends.replace("/one/", "/two/"), 1)
    assert compile_in("two", "int b;", "// a")[1::2] == ("int b;", 2)
    assert compile_in("two", "int b;", "// b")[3] == 3


def test_what_does_not_compile_is_compiled_again(compile_in):
    for times in (1, 2):
        assert compile_in("one", "wrong")[0::3] == (1, times)
