"""Training on CPU in bfloat16 where it can be had, else in float32 with a line that says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from src.cpu.precision import settle_precision
from tests.helpers.cpu_library import configuration


def made(tmp_path: Path, has_half: bool) -> Path:
    """Make a library of no operators, which says whether there is bfloat16."""
    (tmp_path / "made.c").write_text(f"int XceptionHasHalf(void) {{ return {int(has_half)}; }}")
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "made.c", "-o", tmp_path / "made.so"], check=True)
    return tmp_path / "made.so"


@pytest.mark.parametrize(
    ("machine", "has_half", "reason"),
    [
        ("x86_64", None, "that needs the operators in C++"),
        ("x86_64", False, "what ONEDNN_MAX_CPU_ISA leaves of it, has no avx512_bf16"),
        ("aarch64", None, "the operators in C++ have no bfloat16 on aarch64"),
        ("aarch64", False, "the operators in C++ have no bfloat16 on aarch64"),
    ],
)
def test_what_bfloat16_lacks_is_said_once_and_float32_takes_its_place(
    tmp_path, monkeypatch, capsys, *, machine, has_half, reason
):
    monkeypatch.setattr("platform.machine", lambda: machine)
    library = None if has_half is None else made(tmp_path, has_half)
    assert settle_precision(configuration("--amp_level=O3"), library).amp_level == "O0"
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert printed.out == ""
    assert line.startswith("amp_level is O3, but ") and line.endswith(f"{reason}: computing in float32")


@pytest.mark.parametrize("words", [["--amp_level=O2"], ["--amp_level=O0"], []])
def test_what_can_be_had_stays_without_a_word(tmp_path, capsys, words):
    config = configuration(*words)
    assert settle_precision(config, made(tmp_path, True)) == config
    assert capsys.readouterr() == ("", "")
