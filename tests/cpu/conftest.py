"""What the tests of the operators in C++ and of the cache share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.helpers.compile_cache import ENABLE, PATH
from tests.helpers.cpu_library import write_compiler


@pytest.fixture
def compiler(library, tmp_path, monkeypatch) -> Path:
    """A compiler that makes the operators at once."""
    (tmp_path / "made.so").write_bytes(library.read_bytes()[:-32])  # without the checksum
    path = write_compiler(tmp_path / "compiler", tmp_path / "made.so")
    monkeypatch.setenv("CXX", str(path))
    return path


@pytest.fixture(autouse=True)
def _unused(monkeypatch):
    """Each test is a program that has not compiled yet; what it sets is undone."""
    monkeypatch.setattr(sys, "argv", [__file__])
    for name in (ENABLE, PATH):
        monkeypatch.setenv(name, "")
        del os.environ[name]
