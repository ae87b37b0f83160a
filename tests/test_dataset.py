"""The pipeline: what training and evaluation see of a folder of images, and what a person reads if it is unfit."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from src.dataset import (
    available_workers,
    check_folder,
    class_names,
    count_images,
    create_dataset,
    readable_errors,
)
from tests.helpers.pipeline import SIZE, batches, write_image

FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """40 images in 3 classes; image n is grey of value 6 n, so that each can be told from its pixels."""
    out = tmp_path_factory.mktemp("numbered")
    for number in range(40):
        write_image(out / "abc"[number % 3] / f"{number:02d}.png", 6 * number, (8, 8))
    return out


def numbers(found: list[tuple[np.ndarray, np.ndarray]]) -> list[int]:
    """Return the numbers of evaluated images of `numbered`."""
    return [round((pixel * 127.5 + 127.5) / 6) for image, _ in found for pixel in image[:, 0, 0, 0]]


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
    assert class_names(str(tmp_path)) == ["10", "2", "A", "b"]
    assert [label.tolist() for _, label in batches(str(tmp_path), False, 4)] == [[0, 1, 2, 3]]


def test_files_that_are_no_images_are_passed_over_and_suffixes_have_any_usual_case(tmp_path):
    for name in ("a/1.jpg", "a/2.JPEG", "a/3.Png", "b/4.jpeg"):
        write_image(tmp_path / name, 9)
    for name in ("a/notes.txt", "a/.DS_Store", "README.md", "b/Thumbs.db"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert count_images(str(tmp_path)) == {"a": 3, "b": 1, "c": 1}
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


# Order, seeds, shards


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


def first_images(numbered: Path, count: int) -> str:
    """Return a folder of the first images of `numbered`."""
    folder = numbered.with_name(f"first {count}")
    for path in sorted(numbered.rglob("*.png"), key=lambda path: path.name)[:count]:
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
    return str(folder)


@FAST
@given(st.data(), st.integers(1, 40), st.integers(1, 12))
def test_evaluation_counts_every_image_once_over_any_ranks(numbered, data, images, batch_size):
    ranks = data.draw(st.integers(1, min(images, 9)))
    folder = first_images(numbered, images)
    found = [number for rank in range(ranks) for number in numbers(batches(folder, False, batch_size, ranks, rank))]
    assert sorted(found) == list(range(images))


@FAST
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5))
def test_every_rank_trains_the_same_number_of_steps(numbered, images, ranks, batch_size):
    folder = first_images(numbered, images)
    sizes = {create_dataset(folder, True, batch_size, ranks, rank, SIZE, 1).get_dataset_size() for rank in range(ranks)}
    assert sizes == {-(-images // ranks) // batch_size}


def test_ranks_train_on_different_images_of_the_same_shuffle(tmp_path):
    for label in range(12):
        write_image(tmp_path / f"{label:02d}" / "x.png", label)
    labels = [
        [label for _, batch in batches(str(tmp_path), True, 3, 2, rank, seed=4) for label in batch] for rank in (0, 1)
    ]
    assert sorted(labels[0] + labels[1]) == list(range(12))


# Images that are left out


@pytest.fixture(scope="module")
def classes_of_one(tmp_path_factory) -> list[str]:
    """12 images in classes of their own, so that a label tells the image."""
    out = tmp_path_factory.mktemp("classes of one")
    for label in range(12):
        write_image(out / f"{label:02d}" / "x.png", label)
    return [str(out / f"{label:02d}" / "x.png") for label in range(12)]


@FAST
@given(st.data(), st.sets(st.integers(0, 39), min_size=1, max_size=38), st.integers(1, 12))
def test_evaluation_counts_every_image_that_is_not_left_out_once(numbered, data, left_out, batch_size):
    ranks = data.draw(st.integers(1, min(40 - len(left_out), 5)))
    excluded = [str(numbered / "abc"[n % 3] / f"{n:02d}.png") for n in left_out]
    found = [
        numbers(batches(str(numbered), False, batch_size, ranks, rank, excluded=excluded)) for rank in range(ranks)
    ]
    in_folder_order = sorted(set(range(40)) - left_out, key=lambda n: (n % 3, n))
    assert found == [in_folder_order[rank::ranks] for rank in range(ranks)]


@FAST
@given(st.sets(st.integers(0, 11), min_size=1, max_size=10), st.integers(1, 5), st.integers(0, 9))
def test_ranks_train_on_different_images_that_are_not_left_out(classes_of_one, left_out, ranks, seed):
    folder = str(Path(classes_of_one[0]).parents[1])
    excluded = [classes_of_one[n] for n in left_out]
    found = [
        [int(label) for _, (label,) in batches(folder, True, 1, ranks, rank, seed=seed, excluded=excluded)]
        for rank in range(ranks)
    ]
    good = 12 - len(left_out)
    assert [len(labels) for labels in found] == [-(-good // ranks)] * ranks
    counts = Counter(label for labels in found for label in labels)
    assert counts.keys() == set(range(12)) - left_out
    # Only what fills the last shards up comes twice.
    if ranks <= good:
        assert sum(count - 1 for count in counts.values()) == -good % ranks
        assert max(counts.values()) <= 2


def test_a_seed_decides_the_order_without_the_images_that_are_left_out(classes_of_one):
    folder = str(Path(classes_of_one[0]).parents[1])

    def epoch(seed: int, **options) -> list[tuple[np.ndarray, np.ndarray]]:
        return batches(folder, True, 2, seed=seed, excluded=classes_of_one[3:5], **options)

    first, again, rest, other = epoch(1), epoch(1), epoch(1, skip_batches=2), epoch(2)
    for left, right in [*zip(first, again, strict=True), *zip(first[2:], rest, strict=True)]:
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])
    assert [label.tolist() for _, label in first] != [label.tolist() for _, label in other]


def test_an_image_that_is_left_out_is_never_opened(tmp_path):
    for number in range(6):
        write_image(tmp_path / "a" / f"{number}.jpg", number)
    (tmp_path / "a" / "2.jpg").unlink()
    (tmp_path / "a" / "2.jpg").mkdir()
    (tmp_path / "a" / "4.jpg").write_bytes(b"")
    for train in (True, False):
        excluded = [str(tmp_path / "a" / "2.jpg"), str(tmp_path / "a" / "4.jpg")]
        assert sum(len(label) for _, label in batches(str(tmp_path), train, 1, excluded=excluded)) == 4


def test_what_is_left_out_must_be_there(numbered):
    with pytest.raises(ValueError, match=r"absent\.png, to be left out, is no image of .*: has the folder changed\?"):
        create_dataset(str(numbered), True, 1, excluded=[str(numbered / "a" / "absent.png")])


def test_images_that_are_left_out_do_not_count(numbered):
    b = [str(path) for path in (numbered / "b").iterdir()]
    assert count_images(str(numbered), b[1:]) == {"a": 14, "b": 1, "c": 13}
    assert check_folder(str(numbered), 3, 14, 2, b[1:]) == (["a", "b", "c"], 28)
    with pytest.raises(ValueError, match="has 28 readable images, less than one batch of 15"):
        check_folder(str(numbered), 3, 15, 2, b[1:])
    with pytest.raises(ValueError, match=r"no readable images in .*b:"):
        check_folder(str(numbered), 3, 1, 1, b)


# What is refused


def test_folders_that_do_not_exist_or_hold_no_classes_are_one_line(tmp_path):
    for path, message in [
        (str(tmp_path / "absent"), "absent: No such file"),
        ("", r"\(none given\)"),
        (str(tmp_path), "one folder a class"),
        (__file__, "Not a directory"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_folder(path, 2)


def test_a_fit_folder_gives_its_classes_and_images(numbered):
    assert check_folder(str(numbered), 3, 20, 2) == (["a", "b", "c"], 40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4,), r"has 3 classes, but num_classes is 4: use --num_classes=3"),
        ((3, 41), r"has 40 images, less than one batch of 41 for each of 1 device\(s\): use --batch_size=40"),
        ((3, 8, 6), r"less than one batch of 8 for each of 6 device\(s\): use --batch_size=6"),
    ],
)
def test_what_does_not_fit_the_options_is_named_with_the_option(numbered, arguments, message):
    with pytest.raises(ValueError, match=message):
        check_folder(str(numbered), *arguments)


def test_a_class_without_images_is_named(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    for name in ("b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "x.gif").touch()
    with pytest.raises(ValueError, match=r"no images in .*b and 1 more class folders: .*\.jpg"):
        check_folder(str(tmp_path), 3)


def test_images_in_a_hidden_folder_are_an_error_as_mindspore_would_miscount_them(tmp_path):
    for name in ("a", ".ipynb_checkpoints"):
        write_image(tmp_path / name / "x.png", 1)
    with pytest.raises(ValueError, match=r"hidden folder .*\.ipynb_checkpoints holds images"):
        check_folder(str(tmp_path), 1)


@pytest.mark.parametrize("name", ["._x.JPEG", ".x.jpg"])
def test_a_hidden_image_is_an_error_as_training_would_read_it(tmp_path, name):
    write_image(tmp_path / "a" / "x.png", 1)
    write_image(tmp_path / "a" / name, 1)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a' / name} is hidden")):
        check_folder(str(tmp_path), 1)


@pytest.mark.parametrize("workers", [0, -1, 10_000])
def test_an_impossible_number_of_workers_names_the_cores(numbered, workers):
    with pytest.raises(ValueError, match=f"from 1 to {os.cpu_count()}, .* got {workers}"):
        create_dataset(str(numbered), True, num_parallel_workers=workers)


@pytest.mark.parametrize("rank", [-1, 2])
def test_an_impossible_rank_is_an_error(numbered, rank):
    with pytest.raises(ValueError, match=f"from 0 to 1 .* got {rank}"):
        create_dataset(str(numbered), True, 1, 2, rank)


def test_more_ranks_than_images_is_an_error_in_evaluation(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    with pytest.raises(ValueError, match="has 1 images, fewer than the 2 devices"):
        create_dataset(str(tmp_path), False, 1, 2, 1)


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
        readable_errors(str(folder)),
    ):
        batches(str(folder), train, 1, num_parallel_workers=workers)
    assert "\n" not in str(caught.value)
    assert f"python tools/check_dataset.py {folder}" in str(caught.value)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.symlink_to("absent"), "the file cannot be opened"),
        (lambda path: path.mkdir(), "should be file, but got directory"),
    ],
    ids=["broken link", "folder"],
)
def test_what_cannot_be_opened_as_an_image_is_named_in_one_line(tmp_path, spoil, reason, train):
    write_image(tmp_path / "a" / "1.jpg", 1)
    spoil(tmp_path / "a" / "2.jpg")
    with (
        pytest.raises(ValueError, match=re.escape(f"cannot read image {tmp_path / 'a' / '2.jpg'}: {reason}; ")),
        readable_errors(str(tmp_path)),
    ):
        batches(str(tmp_path), train, 1)


def test_other_errors_of_a_loop_pass_unchanged():
    with pytest.raises(RuntimeError, match=r"^out of memory$"), readable_errors("x"):
        raise RuntimeError("out of memory")


@pytest.fixture(autouse=True)
def _restore_seed():
    before = ds.config.get_seed()
    yield
    ds.config.set_seed(before)
