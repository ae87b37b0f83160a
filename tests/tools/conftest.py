"""What the tests of the weight conversion share."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.checkpoints.weights import save_weights
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.real_packages import CLASSES


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A checkpoint with deterministic weights, and "same" padding; only to be read."""
    path = tmp_path_factory.mktemp("small") / "small.ckpt"
    network = xception(CLASSES)
    set_weights(network)
    save_weights(path, network)
    return path
