"""Compilers of the operators in C++: they may be called in many ways, and fail in many."""

from __future__ import annotations

import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.cpu import library as module
from tests.helpers.cpu_library import build, is_running, times_run, write_compiler, write_program
from tests.helpers.mounts import mounted
from tests.helpers.project import ROOT


def test_no_compiler_is_run_for_a_disk_that_is_too_full(tmp_path, monkeypatch, capsys):
    compiler = write_compiler(tmp_path / "compiler", tmp_path / "none")
    monkeypatch.setenv("CXX", str(compiler))
    folder = tmp_path / "disk"
    with mounted(folder, "-osize=1m,mode=700"):
        assert build(folder) is None
        assert list(folder.iterdir()) == []
    assert times_run(compiler) == 0
    output = capsys.readouterr().err
    assert re.fullmatch(
        rf"no operators in C\+\+, so work on CPU is slower: {compiler} cannot make {folder}/cpu-operators-\w+\.so: "
        rf"{folder} needs 33\.6 MB, but {folder} has 1\.0 MB left; make room or choose another disk\n",
        output,
    ), output


def test_without_a_compiler_a_line_tells_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    assert build(tmp_path / "own") is None
    assert f"without a C++ compiler ({tmp_path / 'none'} is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo too old >&2\nexit 1", "too old"),
        ("echo In file included from x:\necho x:1:2: fatal error: too old\nexit 1", "x:1:2: fatal error: too old"),
        ("echo something > $TMPDIR/left\nkill -SEGV $$", "it says nothing and ends with Segmentation fault"),
        ("exit 0", "it ends as if all were well, but has made nothing"),
    ],
)
def test_a_compiler_that_fails_is_told_and_leaves_nothing(monkeypatch, tmp_path, capsys, text, reason):
    monkeypatch.setenv("CXX", str(write_program(tmp_path / "compiler", text)))
    assert build(tmp_path / "own") is None
    output = capsys.readouterr().err
    assert output.startswith("no operators in C++, so work on CPU is slower: ") and output.endswith(f": {reason}\n")
    assert list((tmp_path / "own").iterdir()) == []


def test_compilers_for_arm_get_the_word_that_all_of_them_take(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert build(tmp_path / "own") is not None
    words = Path(f"{compiler}.log").read_text().split()
    assert "-mcpu=native" in words and "-march=native" not in words


# Two of the cores that one machine may have; what changes from one reading to the next is none of it.
ARM = """processor\t: 0
BogoMIPS\t: {speed}
Features\t: fp asimd{more}
CPU implementer\t: {maker}
CPU architecture: 8
CPU part\t: 0xd01
"""


def test_machines_with_other_arm_processors_have_libraries_of_their_own(compiler, tmp_path, monkeypatch):
    processors = tmp_path / "cpuinfo"
    monkeypatch.setattr(module, "_PROCESSORS", processors)

    def name(speed: str = "200.00", more: str = "", maker: str = "0x48") -> str:
        processors.write_text(ARM.format(speed=speed, more=more, maker=maker))
        return build(tmp_path / "own").name

    names = [name(), name(more=" sve"), name(maker="0x41")]
    assert len(set(names)) == 3
    assert name(speed="100.00") == names[0]


def test_cxx_may_hold_options_and_what_runs_the_compiler(compiler, tmp_path, monkeypatch, capsys):
    (tmp_path / "a folder").mkdir()
    log = tmp_path / "log"
    before = write_program(tmp_path / "a folder" / "before", f'echo "$@" > {log}\nexec "$@"')
    monkeypatch.setenv("CXX", shlex.join([str(before), str(compiler), "-m64"]))
    assert build(tmp_path / "own") is not None
    assert log.read_text().startswith(f"{compiler} -m64 -std=c++17")
    monkeypatch.setenv("CXX", "g++ '-m64")
    assert build(tmp_path / "own") is None
    assert 'CXX is "g++ \'-m64": No closing quotation' in capsys.readouterr().err


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have no AVX-512")
def test_cxx_may_take_instructions_away_that_the_processor_has():
    command = ["c++", "-mno-avx512f", *module._FLAGS, "-dM", "-E", "-x", "c++", "/dev/null"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "__SSE2__" in result.stdout and "AVX512" not in result.stdout


def test_what_a_compiler_keeps_a_link_to_stays_as_it_is(library, tmp_path, monkeypatch):
    made = tmp_path / "made.so"
    made.write_bytes(library.read_bytes()[:-32])
    monkeypatch.setenv("CXX", str(write_compiler(tmp_path / "compiler", made, "ln")))
    assert build(tmp_path / "own").read_bytes() == library.read_bytes()
    assert made.read_bytes() == library.read_bytes()[:-32]


def test_a_compiler_that_never_ends_is_killed_with_all_that_it_has_started(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "_COMPILE_SECONDS", 1)
    text = f"sleep 1000 &\necho $! > {tmp_path / 'number'}\nwait"
    monkeypatch.setenv("CXX", str(write_program(tmp_path / "compiler", text)))
    assert build(tmp_path / "own") is None
    assert "it takes longer than 1 s\n" in capsys.readouterr().err
    assert list((tmp_path / "own").iterdir()) == []
    assert not is_running(tmp_path / "number")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_training_that_is_stopped_while_it_compiles_leaves_nothing(tmp_path, number):
    begun = tmp_path / "number"
    text = f'echo half > "$TMPDIR/half"\nsleep 1000 &\necho $! > "$TMPDIR/$$"\nmv "$TMPDIR/$$" {begun}\nwait'
    compiler = write_program(tmp_path / "compiler", text)
    words = ["--device_target=CPU", f"--cpu_operators={tmp_path / 'own'}"]
    process = subprocess.Popen(
        [sys.executable, ROOT / "train.py", *words],
        env={**os.environ, "CXX": str(compiler), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.count("\n") == 1 and ("interrupted" in errors or f"stopped by {number.name} before" in errors)
    assert list((tmp_path / "own").iterdir()) == [] and not is_running(begun)
    assert {path.name for path in tmp_path.iterdir()} == {"own", "compiler", "number"}


def test_what_a_killed_process_has_left_is_removed_after_a_day_and_nothing_else(compiler, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    names = [f".cpu-operators-{'0' * 16}.so.{letter * 32}.tmp" for letter in "abc"]
    others = [f".thesis.{'a' * 32}.tmp", "cpu-operators-notes.so"]
    for name in [*names, *others]:
        (folder / name).mkdir()
        (folder / name / "half").write_text("")
        if name != names[0]:
            os.utime(folder / name, (0, 0))
    path = build(folder)
    assert {path.name for path in folder.iterdir()} == {path.name, names[0], *others}
