"""What the tests of the launch scripts start from."""

from __future__ import annotations

import pytest

from tests.helpers.launching import Bench


@pytest.fixture
def bench(tmp_path) -> Bench:
    """Two folders, with a rank table of two devices."""
    bench = Bench.make(tmp_path)
    bench.write_table([0, 1])
    return bench
