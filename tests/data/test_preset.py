"""Evaluation resizes as it is told, by default as the recipe does, and says so where it cannot."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from src.data.preset import CROP_PCT, INTERPOLATION, Preset
from src.dataset import create_dataset, read_image, seen_share
from src.metadata.metadata import INTERPOLATIONS
from tests.helpers.configuration import documents, parse
from tests.helpers.image_files import GOOD, photograph
from tests.helpers.pipeline import batches

INTER = {"bilinear": vision.Inter.BILINEAR, "bicubic": vision.Inter.BICUBIC}


def resized_and_cropped(image: np.ndarray, resized: int, size: int, interpolation: str = "bilinear") -> np.ndarray:
    return vision.CenterCrop(size)(vision.Resize(resized, INTER[interpolation])(image))


def test_the_default_resizes_to_320_at_299_and_to_the_nearest_pixel_in_proportion():
    preset = Preset()
    assert (preset.image_size, preset.resized_side) == (299, 320)
    assert [Preset(image_size=size).resized_side for size in range(71, 1001)] == [
        round(size * (320 / 299)) for size in range(71, 1001)
    ]


@pytest.mark.parametrize("size", [71, 72, 150, 299, 320, 1000])
def test_the_default_gives_the_pixels_of_the_recipe(size):
    decode, *operations = Preset(image_size=size, normalize=False).evaluation()
    image = decode(np.frombuffer(GOOD["baseline.jpg"], np.uint8))
    expected = resized_and_cropped(image, round(size * 320 / 299), size)
    for operation in operations:
        image = operation(image)
    assert np.array_equal(image, expected)


def test_the_settings_have_the_same_defaults_and_words():
    config, choices = parse(), documents()[2]
    assert (config.crop_pct, config.interpolation) == (CROP_PCT, INTERPOLATION) == (Preset().crop_pct, "bilinear")
    assert tuple(choices["interpolation"]) == INTERPOLATIONS == tuple(INTER)
    for word in INTERPOLATIONS:
        Preset(interpolation=word)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("size", "crop_pct", "resized"),
    [(71, 1, 71), (150, 0.875, 171), (299, 0.8975, 333), (320, 0.5, 640), (150, 0.48, 312), (150, 0.8, 188)],
    ids=["no border", "usual", "timm", "half", "a tie down to even", "a tie up to even"],
)
def test_both_settings_count_for_one_image_and_for_a_data_set(tmp_path, size, crop_pct, resized, interpolation):
    folder = tmp_path / "class"
    folder.mkdir()
    # A wide and a high one, smaller and larger than the result.
    photograph().save(folder / "a.jpg")
    photograph().resize((500, 900)).save(folder / "b.jpg")
    options = {"image_size": size, "crop_pct": crop_pct, "interpolation": interpolation}
    ((images, _),) = batches(str(tmp_path), False, 2, **options)
    for name, image in zip(("a.jpg", "b.jpg"), images, strict=True):
        pixels = np.asarray(Image.open(folder / name))
        expected = resized_and_cropped(pixels, resized, size, interpolation).astype(np.float32)
        assert np.array_equal(image, ((expected - 127.5) / 127.5).transpose(2, 0, 1)), name
        assert np.array_equal(read_image(folder / name, size, crop_pct=crop_pct, interpolation=interpolation), image)
    assert seen_share(size, crop_pct) == size / resized


def test_training_crops_at_random_whatever_evaluation_does(numbered):
    plain = batches(str(numbered), True, 20, seed=3)
    other = batches(str(numbered), True, 20, seed=3, crop_pct=0.5, interpolation="bicubic")
    assert all(
        np.array_equal(*pair)
        for left, right in zip(plain, other, strict=True)
        for pair in zip(left, right, strict=True)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_pct": 0.0}, "crop_pct must be above 0 and at most 1, got 0.0"),
        ({"crop_pct": 1.01}, "crop_pct must be above 0 and at most 1, got 1.01"),
        ({"crop_pct": float("nan")}, "crop_pct must be above 0 and at most 1, got nan"),
        ({"interpolation": "nearest"}, "interpolation must be one of bilinear, bicubic, got nearest"),
        (
            {"crop_pct": 0.001},
            "with crop_pct 0.001 and image_size 299, evaluation would resize images to more than 16384 pixels: use a "
            "larger crop_pct",
        ),
    ],
)
def test_what_cannot_be_is_told_before_an_image_is_read(numbered, options, message):
    for question in (
        lambda: create_dataset(str(numbered), False, **options),
        lambda: read_image("absent.jpg", **options),
    ):
        with pytest.raises(ValueError) as refusal:  # noqa: PT011 - compared below
            question()
        assert str(refusal.value) == message


@pytest.mark.parametrize(("size", "least", "most"), [(299, 2, 4), (150, 8, 12)])
def test_pil_smooths_before_it_shrinks_and_these_do_not(size, least, most):
    """The same photograph by PIL's bicubic, as timm takes it, in grey levels on average."""
    path = files("sklearn.datasets.images") / "china.jpg"
    image = Image.open(str(path))
    resized = Preset(image_size=size, crop_pct=0.8975, interpolation="bicubic").resized_side
    by_pil = np.asarray(image.resize((int(image.width * resized / image.height), resized), Image.Resampling.BICUBIC))
    expected = vision.CenterCrop(size)(by_pil).astype(float)
    found = read_image(path, size, crop_pct=0.8975, interpolation="bicubic").transpose(1, 2, 0) * 127.5 + 127.5
    difference = np.abs(found - expected).mean()
    print(f"{difference:.2f} grey levels at {size}")
    assert least < difference < most
