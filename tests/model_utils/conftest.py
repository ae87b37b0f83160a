"""A configuration file that a test writes, and a server of ModelArts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.modelarts import Bench


@pytest.fixture
def write(tmp_path):
    """A function that writes a configuration file and returns its path."""

    def write(content: str | bytes, name: str = "my.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return write


@pytest.fixture
def bench(tmp_path):
    """A bucket and a server; what was started there is gone afterwards."""
    bench = Bench(tmp_path / "a bench")
    yield bench
    for process in bench.started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
