"""What the tests of the operators in C++ share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cpu_library import write_compiler


@pytest.fixture
def compiler(library, tmp_path, monkeypatch) -> Path:
    """A compiler that makes the operators at once."""
    (tmp_path / "made.so").write_bytes(library.read_bytes()[:-32])  # without the checksum
    path = write_compiler(tmp_path / "compiler", tmp_path / "made.so")
    monkeypatch.setenv("CXX", str(path))
    return path
