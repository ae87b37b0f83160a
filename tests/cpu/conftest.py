"""What the tests of the operators in C++ share."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.cpu.library import build_cpu_library
from tests.helpers.cpu_library import configuration, write_compiler
from tests.helpers.sharing import made_once


@pytest.fixture(scope="session")
def library(base) -> Path:
    """The compiled operators, only to be read."""
    built = made_once(base, "a folder", lambda folder: build_cpu_library(configuration(f"--cpu_operators={folder}")))
    assert built is not None
    return built


@pytest.fixture
def compiler(library, tmp_path, monkeypatch) -> Path:
    """A compiler that makes the operators at once."""
    (tmp_path / "made.so").write_bytes(library.read_bytes()[:-32])  # without the checksum
    path = write_compiler(tmp_path / "compiler", tmp_path / "made.so")
    monkeypatch.setenv("CXX", str(path))
    return path
