"""A small model and an image for the C++ program."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.inference import SIDE, Flat, write_model


@pytest.fixture(scope="module")
def flat(built, tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), (1, 3, SIDE, SIDE))


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (SIDE, SIDE), (60, 120, 180)).save(folder / "good.png")
    return folder
