"""The pipeline: what training and evaluation see of a folder of images, and what a person reads of a bad image."""

from __future__ import annotations

import os
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from src.common.workers import available_workers
from src.data.image_source import open_images
from src.dataset import create_dataset, readable_errors
from tests.helpers.numbered_images import numbers
from tests.helpers.pipeline import SIZE, batches, write_image

# What comes out


def test_evaluation_gives_normalised_pixels_in_folder_order(numbered):
    found = batches(str(numbered), False, 16)
    assert [len(label) for _, label in found] == [16, 16, 8]
    image, label = found[0]
    assert (image.dtype, label.dtype) == (np.float32, np.int32)
    assert image.shape == (16, 3, SIZE, SIZE)
    assert [n % 3 for n in numbers(found)] == [value for _, labels in found for value in labels]
    expected = (6 * np.array(numbers(found[:1])) - 127.5) / 127.5
    assert np.allclose(image, expected[:, None, None, None], atol=1e-6)


@pytest.mark.parametrize(("image_size", "resized"), [(299, 320), (71, 76), (150, 161)])
def test_evaluation_resizes_the_shorter_side_and_crops_the_centre(tmp_path, image_size, resized):
    # The shorter side has its final length already, so that the pixels stay as they are.
    pixels = np.random.RandomState(0).randint(0, 256, (resized, resized + 40, 3), dtype=np.uint8)
    write_image(tmp_path / "a" / "x.png", pixels)
    ((image, _),) = batches(str(tmp_path), False, 4, image_size=image_size)
    top, left = (resized - image_size) // 2, (resized + 40 - image_size) // 2
    expected = pixels[top : top + image_size, left : left + image_size].astype(np.float32)
    assert np.abs(image[0].transpose(1, 2, 0) * 127.5 + 127.5 - expected).max() < 1e-4


def test_37_images_in_batches_of_8_are_all_evaluated(few_digits):
    found = batches(str(few_digits / "val"), False, 8)
    assert [len(label) for _, label in found] == [8, 8, 8, 8, 5]
    assert Counter(value for _, label in found for value in label) == {0: 12, 1: 12, 2: 13}


@pytest.mark.parametrize("train", [True, False])
def test_images_are_299_pixels_wide_unless_told_otherwise(numbered, train):
    dataset = create_dataset(str(numbered), train, 2, num_parallel_workers=1)
    image, label = next(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
    assert (image.shape, image.dtype, label.dtype) == ((2, 3, 299, 299), np.float32, np.int32)


def test_training_gives_whole_batches_within_the_range(digits):
    found = batches(str(digits / "val"), True, 50, seed=1)
    assert [len(label) for _, label in found] == [50] * 7
    images = np.concatenate([image for image, _ in found])
    assert images.shape[1:] == (3, SIZE, SIZE)
    assert -1 <= images.min() < -0.9
    assert 0.9 < images.max() <= 1


def test_training_flips_crops_and_changes_colours(tmp_path):
    ramp = np.tile(np.linspace(60, 200, 80).astype(np.uint8)[None, :, None], (80, 1, 3))
    for number in range(60):
        write_image(tmp_path / "a" / f"{number}.png", ramp)
    images = np.concatenate([image for image, _ in batches(str(tmp_path), True, 20, seed=3)])
    slopes = images[:, 0, 30, -1] - images[:, 0, 30, 0]
    assert 12 <= (slopes < 0).sum() <= 48  # half of them are flipped
    assert np.ptp(np.abs(slopes)) > 0.2  # crops have different widths
    assert np.ptp(images.mean((1, 2, 3))) > 0.2  # brightness differs


def test_whole_crops_without_flips_keep_the_picture(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 80).astype(np.uint8)[None, :, None], (80, 1, 3))
    for number in range(20):
        write_image(tmp_path / "a" / f"{number}.png", ramp)
    ((images, _),) = batches(str(tmp_path), True, 20, seed=3, crop_min_area=1.0, flip_probability=0.0)
    slopes = images[:, 0, 30, -1] - images[:, 0, 30, 0]
    assert slopes.min() > 0.4  # the whole ramp, at its least contrast, and none of them flipped


def test_labels_follow_the_sorted_names_of_the_folders(tmp_path):
    for name in ("2", "10", "b", "A", ".hidden"):
        write_image(tmp_path / name / "x.png", 9)
    (tmp_path / ".hidden" / "x.png").unlink()
    assert open_images(str(tmp_path)).class_names == ["10", "2", "A", "b"]
    assert [label.tolist() for _, label in batches(str(tmp_path), False, 4)] == [[0, 1, 2, 3]]


def test_files_that_are_no_images_are_passed_over_and_suffixes_have_any_usual_case(tmp_path):
    for name in ("a/1.jpg", "a/2.JPEG", "a/3.Png", "b/4.jpeg"):
        write_image(tmp_path / name, 9)
    for name in ("a/notes.txt", "a/.DS_Store", "README.md", "b/Thumbs.db"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert open_images(str(tmp_path)).counts() == {"a": 3, "b": 1, "c": 1}
    for train in (True, False):
        assert Counter(label for _, labels in batches(str(tmp_path), train, 5) for label in labels) == {
            0: 3,
            1: 1,
            2: 1,
        }


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PNG", "JPEG"])
def test_every_accepted_format_is_decoded(tmp_path, kind):
    (tmp_path / "a").mkdir()
    suffix = {"BMP": ".bmp", "TIFF": ".tif", "PNG": ".png", "JPEG": ".jpg"}[kind]
    Image.new("RGB", (80, 90), (200, 200, 200)).save(tmp_path / "a" / f"x{suffix}", kind)
    for train in (True, False):
        ((image, _),) = batches(str(tmp_path), train, 1)
        assert image.shape == (1, 3, SIZE, SIZE)


# Order and seeds


@pytest.mark.parametrize("workers", sorted({1, available_workers()}))
def test_a_seed_decides_order_and_augmentation(digits, workers):
    def epoch(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return batches(str(digits / "val"), True, 32, seed=seed, num_parallel_workers=workers)

    first, again, other = epoch(1), epoch(1), epoch(2)
    assert all(
        np.array_equal(x, y) for left, right in zip(first, again, strict=True) for x, y in zip(left, right, strict=True)
    )
    assert not np.array_equal(first[0][1], other[0][1])
    assert not np.array_equal(first[0][0], other[0][0])


def test_an_epoch_begun_in_the_middle_goes_on_with_the_same_batches(digits):
    options = {"seed": 5, "num_parallel_workers": available_workers()}
    whole = batches(str(digits / "val"), True, 32, **options)
    rest = batches(str(digits / "val"), True, 32, skip_batches=4, **options)
    assert len(rest) == len(whole) - 4 > 0
    for left, right in zip(whole[4:], rest, strict=True):
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])


# What is refused


@pytest.mark.parametrize("workers", [0, -1, 10_000])
def test_an_impossible_number_of_workers_names_the_cores(numbered, workers):
    with pytest.raises(ValueError, match=f"from 1 to {os.cpu_count()}, .* got {workers}"):
        create_dataset(str(numbered), True, num_parallel_workers=workers)


@pytest.mark.parametrize("workers", sorted({1, available_workers()}))
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("content", [b"", b"no image at all" * 20, b"half"])
def test_an_unreadable_image_is_named_in_one_line(tmp_path, monkeypatch, content, train, workers):
    monkeypatch.chdir(tmp_path)  # MindSpore dumps what it cannot read into the current folder
    folder = tmp_path / "data set no. 1"
    for number in range(6):
        write_image(
            folder / "a" / f"{number}.jpg", np.random.RandomState(number).randint(0, 255, (90, 90, 3), np.uint8)
        )
    bad = folder / "a" / "3.jpg"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:150] if content == b"half" else content)
    with (
        pytest.raises(ValueError, match=re.escape(f"cannot read image {bad}: ")) as caught,
        readable_errors(open_images(str(folder))),
    ):
        batches(str(folder), train, 1, num_parallel_workers=workers)
    assert "\n" not in str(caught.value)
    assert f"python tools/check_dataset.py {folder}" in str(caught.value)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.symlink_to("absent"), "the file cannot be opened"),
        (lambda path: path.mkdir(), "not a regular file"),
    ],
    ids=["broken link", "folder"],
)
def test_what_cannot_be_opened_as_an_image_is_named_in_one_line(tmp_path, spoil, reason, train):
    write_image(tmp_path / "a" / "1.jpg", 1)
    spoil(tmp_path / "a" / "2.jpg")
    with (
        pytest.raises(ValueError, match=re.escape(f"cannot read image {tmp_path / 'a' / '2.jpg'}: {reason}; ")),
        readable_errors(open_images(str(tmp_path))),
    ):
        batches(str(tmp_path), train, 1)


def test_other_errors_of_a_loop_pass_unchanged(numbered):
    with pytest.raises(RuntimeError, match=r"^out of memory$"), readable_errors(open_images(str(numbered))):
        raise RuntimeError("out of memory")
