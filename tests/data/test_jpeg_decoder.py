"""The fast decoder gives MindSpore's pixels, and takes part where images are JPEG files."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore.dataset import vision
from PIL import Image

from src import dataset
from src.data.image_source import open_images
from src.data.jpeg_decoder import decode_jpeg
from src.dataset import read_image
from tests.helpers.pipeline import batches, write_image
from tools.benchmarks.images import write_images

pytest.importorskip("simplejpeg", reason="without this package MindSpore's own decoder is used")

SIDE = 71


def encoded(mode: str, width: int = 83, height: int = 61, kind: str = "JPEG", **options) -> np.ndarray:
    """Return the file of an image of a smooth and a noisy half."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2] = np.arange(height)[:, None, None] % 256
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0}),
        ("RGB", {"subsampling": 1}),
        ("RGB", {"keep_rgb": True}),
        ("RGB", {"exif": rotated()}),
        ("L", {}),
        ("CMYK", {}),
        ("RGB", {"kind": "PNG"}),
        ("P", {"kind": "PNG"}),
    ],
)
def test_each_kind_of_file_is_decoded_as_by_mindspore(mode, options):
    data = encoded(mode, **options)
    assert np.array_equal(decode_jpeg(data), vision.Decode()(data))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 130), st.integers(1, 130), st.integers(1, 100), st.integers(0, 2))
def test_every_size_and_quality_is_decoded_as_by_mindspore(width, height, quality, subsampling):
    data = encoded("RGB", width, height, quality=quality, subsampling=subsampling)
    assert np.array_equal(decode_jpeg(data), vision.Decode()(data))


@pytest.mark.parametrize("data", [encoded("RGB")[:150], encoded("RGB")[:1500], np.zeros(300, np.uint8)])
def test_what_mindspore_refuses_is_refused(data):
    for decode in (decode_jpeg, vision.Decode()):
        # In a thread of its own: MindSpore may refuse the next good image in the same one.
        with ThreadPoolExecutor(1) as thread, pytest.raises(RuntimeError):
            thread.submit(decode, data).result()


@pytest.fixture(scope="module")
def textures(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("textures")
    write_images(folder, 24)
    return str(folder)


def test_evaluation_has_the_same_pixels_with_either_decoder(textures, monkeypatch):
    ((fast, labels),) = batches(textures, False, 24)
    path = sorted(Path(textures).glob("0/*.jpg"))[0]
    assert np.array_equal(read_image(path, SIDE), fast[0])
    monkeypatch.setattr(dataset, "has_fast_decoder", lambda: False)
    ((own, own_labels),) = batches(textures, False, 24)
    assert np.array_equal(fast, own) and np.array_equal(labels, own_labels)


@pytest.mark.parametrize(("name", "expected"), [("x.JPEG", True), ("x.jpg", True), ("x.png", False)])
def test_the_first_image_tells_whether_the_images_are_jpegs(tmp_path, name, expected):
    (tmp_path / "a").mkdir()
    write_image(tmp_path / "b" / name, 9)
    assert open_images(str(tmp_path)).is_jpeg is expected
