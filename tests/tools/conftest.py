"""What the tests of the weight conversion share."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.checkpoints.weights import save_weights
from src.metadata.metadata import Metadata, Provenance
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.real_packages import CLASSES


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A checkpoint with deterministic weights, and "same" padding; only to be read."""
    return _save(tmp_path_factory.mktemp("small") / "small.ckpt", None)


@pytest.fixture(scope="session")
def described(tmp_path_factory) -> Path:
    """The same weights with everything that there is to tell of them, more than 64 KiB; only to be read."""
    metadata = Metadata(
        class_names=tuple("näme " * 2000 + str(number) for number in range(CLASSES)),
        image_size=128,
        crop_pct=0.9,
        interpolation="bicubic",
        pool_padding="symmetric",
        amp_level="O2",
        provenance=Provenance("training", {"mindspore": "2.10.0"}, {"epoch_size": 3, "lr": 0.1}, 700, "a digest"),
    )
    return _save(tmp_path_factory.mktemp("described") / "described.ckpt", metadata)


def _save(path: Path, metadata: Metadata | None) -> Path:
    network = xception(CLASSES, metadata.pool_padding if metadata else "same")
    set_weights(network)
    save_weights(path, network, metadata)
    return path
