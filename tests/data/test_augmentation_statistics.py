"""Training draws its crops, flips and changes of colour as the model zoo's recipe does: the same distributions.

Each pixel of the pictures tells its place, red the column and green the row, so that a crop tells its edges. The same
seed without changes of colour gives the same crops, so that two such runs tell the factors of the colours.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.common.workers import available_workers
from src.data.augmentation import Augmentation
from tests.helpers.pipeline import batches

COUNT = 4000
SIZE = 32  # less than any crop has, as enlarging repeats the edges
WIDTH, HEIGHT = 160, 120  # not square: the sides of a crop must not be swapped, and large ones often do not fit
DARK, BRIGHT = 50, 130  # no change of colour by 40 % each leaves 0 to 255
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
# The distance of n samples from what they are drawn from exceeds d with a probability of at most 2 exp(-2 n d^2)
# (Massart 1990); that of the share of n samples too (Hoeffding 1963). With this d it is 1 : 100 000.
LIMIT = np.sqrt(np.log(2e5) / 2 / COUNT)


WITHOUT_COLOURS = Augmentation(color_jitter=0.0)


# Pictures and what their crops tell


def write_pictures(folder: Path, count: int, width: int, height: int) -> None:
    """Write the same picture many times, in two classes."""
    pixels = np.full((height, width, 3), (DARK + BRIGHT) / 2)
    pixels[..., 0] = DARK + (BRIGHT - DARK) * (np.arange(width) + 0.5) / width
    pixels[..., 1] = DARK + (BRIGHT - DARK) * (np.arange(height)[:, None] + 0.5) / height
    # Rounded up or down at random, as the mean of a row or column is then finer than the steps from 0 to 255.
    pixels += np.random.default_rng(0).random(pixels.shape)
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "JPEG", quality=100, subsampling=0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.getvalue())


def training(folder: Path, **options) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of an epoch; as bytes, which test_normalization.py ties to the usual floats."""
    options = {"image_size": SIZE, "seed": 1, "normalize": False, **options}
    images, labels = zip(*batches(str(folder), True, 8, **options), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def crop_edges(images: np.ndarray, width: int, height: int) -> tuple[np.ndarray, ...]:
    """Return where crops begin and end in the picture, in pixels: left and right (swapped by a flip), top, bottom."""
    # Resizing makes all colours darker by some 0.1, which the difference from the constant blue leaves out.
    red, green, blue = np.moveaxis(images.astype(np.float32), -1, 0)
    places = []
    for profile, side in [((red - blue).mean(1), width), ((green - blue).mean(2), height)]:
        middles = (np.arange(profile.shape[1]) + 0.5) / profile.shape[1]
        slope, start = np.polyfit(middles, profile.T, 1)
        places += [np.rint((value / (BRIGHT - DARK) + 0.5) * side) for value in (start, start + slope)]
    return tuple(places)


def colour_factors(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """Return the factors by which images were changed.

    Brightness alone changes the mean of the luma, contrast the distance of luma from its mean, and saturation that of
    the colours from each other, which the other two change as well.
    """
    luma, luma_after = before @ LUMA, after @ LUMA
    brightness = luma_after.mean((1, 2)) / luma.mean((1, 2))
    contrast = slopes(luma, luma_after) / brightness
    differences = [images[..., 0].astype(np.float32) - images[..., 1] for images in (before, after)]
    return {
        "brightness": brightness,
        "contrast": contrast,
        "saturation": slopes(*differences) / (brightness * contrast),
    }


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the slope of each image's line through y over x."""
    centred = x - x.mean((1, 2), keepdims=True)
    return (centred * y).sum((1, 2)) / (centred * centred).sum((1, 2))


# The recipe


def crop_features(left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> dict[str, np.ndarray]:
    width, height = right - left, bottom - top
    area, ratio = width * height / (WIDTH * HEIGHT), width / height
    return {"left": left, "right": right, "top": top, "bottom": bottom, "area": area, "ratio": ratio}


def recipe_crops(count: int) -> dict[str, np.ndarray]:
    """Draw crops as Inception did (Szegedy et al. 2014, arXiv 1409.4842): of ten, the first that fits, else the middle.

    The area is even from 8 to 100 %, the ratio of width to height even on a logarithmic scale from 3 / 4 to 4 / 3.
    """
    random = np.random.default_rng(0)
    area = random.uniform(0.08, 1, (count, 10)) * WIDTH * HEIGHT
    ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3), (count, 10)))
    width, height = np.rint(np.sqrt(area * ratio)).astype(int), np.rint(np.sqrt(area / ratio)).astype(int)
    fits = (width <= WIDTH) & (height <= HEIGHT)
    first, some = (np.arange(count), fits.argmax(1)), fits.any(1)
    # The middle of a picture that has a ratio of the range is all of it.
    width, height = np.where(some, width[first], WIDTH), np.where(some, height[first], HEIGHT)
    left, top = random.integers(WIDTH - width + 1), random.integers(HEIGHT - height + 1)
    return crop_features(left, left + width, top, top + height)


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the most by which the shares of two samples below a value differ (Kolmogorov and Smirnov)."""
    values = np.concatenate([found, expected])
    shares = [np.searchsorted(np.sort(sample), values, "right") / len(sample) for sample in (found, expected)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, COUNT, WIDTH, HEIGHT)
    return folder


@pytest.fixture(scope="module", params=sorted({1, min(2, available_workers())}), ids="threads={}".format)
def drawn(pictures, request) -> dict[str, np.ndarray]:
    """What an epoch drew for each image."""
    before, labels = training(pictures, num_parallel_workers=request.param, augmentation=WITHOUT_COLOURS)
    after, _ = training(pictures, num_parallel_workers=request.param)
    first, last, top, bottom = crop_edges(before, WIDTH, HEIGHT)
    crops = crop_features(np.minimum(first, last), np.maximum(first, last), top, bottom)
    return {**crops, **colour_factors(before, after), "flipped": (first > last).astype(float), "label": labels}


def test_crops_are_distributed_as_in_the_recipe(drawn):
    expected = recipe_crops(100 * COUNT)
    distances = {name: distance(drawn[name], sample) for name, sample in expected.items()}
    assert max(distances.values()) < LIMIT, distances


def test_crops_reach_the_ends_of_the_recipes_ranges(drawn):
    # The sides are whole pixels, of which the smallest crops have about 40.
    assert drawn["area"].min() == pytest.approx(0.08, abs=0.003)
    assert (drawn["ratio"].min(), drawn["ratio"].max()) == pytest.approx((3 / 4, 4 / 3), rel=0.03)
    assert (drawn["left"].min(), drawn["right"].max()) == (0, WIDTH)
    assert (drawn["top"].min(), drawn["bottom"].max()) == (0, HEIGHT)


@pytest.mark.parametrize(("width", "height"), [(800, 40), (40, 800)])
def test_a_picture_too_long_for_any_crop_gives_its_middle(tmp_path, width, height):
    write_pictures(tmp_path, 8, width, height)
    images, _ = training(tmp_path, augmentation=WITHOUT_COLOURS)
    left, right, top, bottom = crop_edges(images, width, height)
    sides = (abs(right - left), bottom - top)
    # To 4 pixels: a ramp so long takes 10 for a step of 1 in 0 to 255.
    assert np.allclose(np.sort(sides, 0), [[40], [40 * 4 / 3]], atol=4)
    assert np.allclose((left + right) / 2, width / 2, atol=4)
    assert np.allclose((top + bottom) / 2, height / 2, atol=4)


def test_half_of_the_images_are_flipped(drawn):
    assert abs(drawn["flipped"].mean() - 0.5) < LIMIT


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_of_the_colours_are_even_from_60_to_140_percent(drawn, name):
    assert distance(drawn[name], np.linspace(0.6, 1.4, 100 * COUNT)) < LIMIT
    # Each change rounds to bytes, so that the smallest crops, with few shades, tell a factor to about 0.02.
    assert (drawn[name].min(), drawn[name].max()) == pytest.approx((0.6, 1.4), abs=0.03)


def test_what_is_drawn_depends_neither_on_the_label_nor_on_each_other_nor_on_the_image_before(drawn):
    across, down = drawn["left"] + drawn["right"], drawn["top"] + drawn["bottom"]
    names = ("area", "flipped", "brightness", "contrast", "saturation", "label")
    features = np.stack([across, down, *(drawn[name] for name in names)])
    correlations = np.corrcoef(features, np.roll(features, 1, axis=1)) - np.eye(2 * len(features))
    # Those of independent samples have a standard deviation of 1 / sqrt(COUNT); five of them are rarer than LIMIT.
    assert np.abs(correlations).max() < 5 / np.sqrt(COUNT)
