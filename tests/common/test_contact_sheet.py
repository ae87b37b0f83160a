"""A contact sheet shows every pixel of its images, and captions that fit below them and can be read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from src.common import contact_sheet as drawing
from src.common.contact_sheet import contact_sheet

GAP, LINE = 8, 17


def draw(images: np.ndarray, captions: list[list[str]]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(contact_sheet(images, captions))))


def noise(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(("count", "side", "factor"), [(1, 299, 1), (10, 71, 2), (3, 20, 7)])
def test_each_image_stands_in_its_place_pixel_for_pixel(count, side, factor):
    images = noise(count, side)
    sheet = draw(images, [["a"], *[["a", "b"]] * (count - 1)])
    shown, lines = side * factor, min(count, 2)
    for number, image in enumerate(images):
        top = GAP + number // 8 * (shown + GAP + lines * LINE)
        left = GAP + number % 8 * (shown + GAP)
        place = sheet[top : top + shown, left : left + shown]
        assert np.array_equal(place, image.repeat(factor, 0).repeat(factor, 1))
        below = sheet[top + shown : top + shown + lines * LINE, left : left + shown]
        assert below.min() < 128 < below.max()


def captioned(text: str) -> np.ndarray:
    """Return what stands below a white image."""
    return draw(np.full((1, 140, 140, 3), 255, np.uint8), [[text]])[148:]


@pytest.mark.parametrize("has_matplotlib", [True, False])
def test_a_caption_is_cut_to_the_width_of_its_image_and_characters_without_a_glyph_are_escapes(
    has_matplotlib, monkeypatch
):
    monkeypatch.setattr(drawing, "has_matplotlib", lambda: has_matplotlib)
    assert not np.array_equal(captioned("cat"), captioned("dog"))
    assert np.array_equal(captioned("\u732b 1"), captioned(r"\u732b 1"))
    assert np.array_equal(captioned("a\x1b\n"), captioned(r"a\x1b\n"))
    long = captioned("m" * 200)
    assert long[:, GAP:148].min() < 128
    assert (long[:, 148:] == 255).all()
