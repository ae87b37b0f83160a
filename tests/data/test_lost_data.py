"""Data whose disk goes away, and comes back, while it is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from src.data.image_source import open_images
from src.dataset import create_dataset, readable_errors
from tests.helpers.mounts import mounted, take_away
from tests.helpers.pipeline import write_image

ADVICE = "once it is back, the same command goes on, a training with --resume=auto"


@pytest.fixture
def folder(tmp_path) -> Path:
    """400 images, more than wait in the pipeline."""
    for number in range(400):
        write_image(tmp_path / "images" / "ab"[number % 2] / f"{number}.bmp", number % 200, (16, 16))
    return tmp_path / "images"


def error_of(folder: Path, train: bool, disturb: Callable[[], object], then: Callable[[], object] = int) -> str:
    """Return how reading ends that is disturbed after two images; `then` is done before anybody looks why."""
    source = open_images(str(folder))
    dataset = create_dataset(source, train, 1, image_size=16, num_parallel_workers=1)
    with pytest.raises(ValueError, match=r"^cannot read") as caught, readable_errors(source):
        try:
            for number, _ in enumerate(dataset.create_tuple_iterator(num_epochs=1)):
                if number == 2:
                    disturb()
        except RuntimeError:
            then()
            raise
    return str(caught.value)


@pytest.mark.parametrize("train", [True, False])
def test_a_disk_that_goes_is_told_from_damaged_images(folder, tmp_path, train):
    with mounted(tmp_path / "net"):
        images = shutil.copytree(folder, tmp_path / "net" / "images")
        error = error_of(images, train, lambda: take_away(tmp_path / "net"))
    assert error.startswith(f"cannot read image {images}/")
    assert error.endswith(f": all of {images} has gone, as if its disk had been unmounted or its network cut: {ADVICE}")


def test_a_disk_that_is_back_already_is_told_too(folder):
    away = folder.with_name("away")
    error = error_of(folder, False, lambda: folder.rename(away), lambda: away.rename(folder))
    assert error.endswith(
        f": it could not be opened, but can be now, as if its disk had been away for a moment: {ADVICE}"
    )


def test_an_image_that_is_removed_is_no_damaged_one(folder):
    error = error_of(folder, False, (folder / "b" / "399.bmp").unlink)
    assert error == f"cannot read image {folder}/b/399.bmp: it has been removed or renamed: {ADVICE}"


def test_records_whose_disk_goes_are_not_to_be_made_again(copied):
    source = open_images(str(copied))
    shutil.rmtree(copied)
    assert source.explain(RuntimeError("Failed to open file: 0.mindrecord")) == (
        f"cannot read {source._files[0]}: all of {copied} has gone, as if its disk had been unmounted or its network "
        f"cut: {ADVICE}"
    )
