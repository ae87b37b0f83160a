"""Images in sub-folders of class folders: counted and not read, or with `recursive` read, by all commands."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from src.data.image_folders import find_images
from src.data.image_source import open_images
from src.data.listing import list_images
from src.data.usable_images import check_folder
from src.dataset import create_dataset, readable_errors
from src.model_utils.command import run_command
from tests.helpers.image_files import GOOD
from tests.helpers.pipeline import SIZE, batches, write_image
from tools import check_dataset, make_mindrecord
from tools.data_formats.stored_image import images_of_folders

IMAGES = ["a/2.png", "a/sub/1.png", "a/sub/deep/3.PNG", "b/4.png", "b/\udcff/5.png", "b/sub/6.png"]
HIDDEN = ["a/sub/.hidden.png", "a/.ipynb_checkpoints/x.png", "b/__MACOSX/y.png"]


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    """Images as bright as their position in IMAGES, some in sub-folders, one of which is linked twice."""
    folder = tmp_path_factory.mktemp("nested")
    for number, name in enumerate(IMAGES):
        write_image(folder / name, 40 * number)
    for name in HIDDEN:
        write_image(folder / name, 255)
    (folder / "a" / "sub" / "note.txt").touch()
    (folder / "a" / "link").symlink_to("sub")
    (folder / "a" / "sub" / "round").symlink_to("..")
    return folder


def numbers(found) -> list[tuple[int, int]]:
    """Return the position in IMAGES and the label of each image of batches of normalised images."""
    return [
        (round((float(image.mean()) * 127.5 + 127.5) / 40), int(label))
        for each, labels in found
        for image, label in zip(each, labels, strict=True)
    ]


def test_every_image_is_read_once_with_the_label_of_its_class_folder(nested):
    found = numbers(batches(str(nested), False, 1, recursive=True))
    assert sorted(found) == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]
    listed = list_images(str(nested), recursive=True)
    in_order = [image for images in listed.images.values() for image in images]
    assert [os.path.relpath(image, nested).replace("link/", "sub/") for image in in_order] == [
        IMAGES[number] for number, _ in found
    ]
    assert (listed.unread, listed.by_path) == ({"hidden": 3, ".txt": 1}, True)


def test_ranks_share_them_epochs_shuffle_them_and_some_can_be_left_out(nested):
    source = open_images(str(nested), recursive=True)
    shares = [[number for number, _ in numbers(batches(source, False, 1, 2, rank))] for rank in (0, 1)]
    assert (sorted(shares[0] + shares[1]), list(map(len, shares))) == ([0, 1, 2, 3, 4, 5], [3, 3])
    orders = [[int(label[0]) for _, label in batches(source, True, 1, seed=seed)] for seed in (1, 1, 2, 3, 4)]
    assert orders[0] == orders[1] and len(set(map(tuple, orders))) > 1
    excluded = [path for path in source.image_files() if path.endswith("3.PNG")]
    assert 2 not in dict(numbers(batches(source, False, 1, excluded=excluded)))
    assert len(batches(source, True, 1, excluded=excluded)) == 5
    (picture,) = source.read([0], excluded)
    assert picture.name == source.image_files()[0]


def test_an_unreadable_one_is_named(nested, tmp_path):
    copy = shutil.copytree(nested, tmp_path / "data", symlinks=True)
    path = copy / "b" / "deep" / "bad.jpg"
    path.parent.mkdir()
    path.write_bytes(GOOD["baseline.jpg"][:900])
    source = open_images(str(copy), recursive=True)
    with pytest.raises(ValueError, match=rf"cannot read image {path}: .*truncated"), readable_errors(source):
        batches(source, True, 1)
    path.unlink()
    with pytest.raises(ValueError, match=rf"cannot read image {path}: it has been removed"), readable_errors(source):
        batches(source, False, 1)


def test_without_it_they_are_counted_and_said(nested, capsys):
    create_dataset(str(nested), False, 1, image_size=SIZE)
    create_dataset(open_images(str(nested)), False, 1, image_size=SIZE)
    create_dataset(str(nested), False, 1, 2, 1, image_size=SIZE)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"2 images in 2 classes of {nested}; not read: ")
    assert "in sub-folders" in said[0]
    assert said[1].endswith("are not read; --recursive reads those in sub-folders")


@pytest.fixture
def unchecked(monkeypatch):
    """No image is decoded, which takes processes."""
    monkeypatch.setattr(check_dataset, "find_bad_images", lambda *_: [])


def test_check_takes_the_same_images_and_says_what_it_does_not(nested, unchecked, capsys):
    for switch, images, below in (([], 2, 4), (["--recursive"], 6, 0)):
        assert run_command(check_dataset.main, [str(nested), *switch]) == 0
        said = capsys.readouterr().out
        assert f"checked {images} images" in said
        assert (f"not read: {below} in sub-folders" in said) == bool(below)


def test_records_take_the_same_images_and_say_what_they_do_not(nested, tmp_path, capsys):
    records = tmp_path / "records"
    assert run_command(make_mindrecord.main, [str(nested), str(records), "--workers=1", "--recursive"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"6 images in 2 classes of {nested}; not read: 3 hidden, 1 .txt"
    assert last == f"{records}: 6 images in 2 classes, 1 file, complete"
    assert numbers(batches(str(records), False, 1)) == numbers(batches(str(nested), False, 1, recursive=True))
    assert sum(map(len, images_of_folders(str(nested)).values())) == 2
    assert "in sub-folders" in capsys.readouterr().out


def test_check_of_several_data_sets_in_a_folder_counts_what_training_reads(tmp_path, unchecked, capsys):
    for name in ("train/a/1.png", "val/a/2.png", "val/a/sub/3.png"):
        write_image(tmp_path / name, 1)
    assert run_command(check_dataset.main, [str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "not read: 1 in sub-folders of class folders, as " in said
    assert "checked 2 images in 1 classes: 0 bad" in said
    assert len(find_images(tmp_path)) == 3


def test_a_folder_without_other_images_says_how_they_are_read(tmp_path):
    write_image(tmp_path / "a" / "sub" / "1.png", 1)
    message = r"no images in .*/a: .*; --recursive reads images in sub-folders"
    with pytest.raises(ValueError, match=message):
        check_folder(open_images(str(tmp_path)), 1)
    assert check_folder(open_images(str(tmp_path), recursive=True), 1) == 1


# What a run found at its beginning counts to its end


def test_images_that_come_later_change_no_epoch_and_lost_ones_are_named(tmp_path):
    for number, name in enumerate(IMAGES[::3]):
        write_image(tmp_path / name, 120 * number)
    source = open_images(str(tmp_path))
    first = numbers(batches(source, False, 1))
    write_image(tmp_path / "a" / "0.png", 200)
    (tmp_path / "a" / "1.png").mkdir()
    assert numbers(batches(source, False, 1)) == first
    assert len(batches(source, True, 1)) == 2
    assert open_images(str(tmp_path)).digest() != source.digest()
    (tmp_path / "b" / "4.png").unlink()
    with pytest.raises(ValueError, match=r"b/4\.png was there when this run began and is no longer"):
        batches(source, True, 1)


# Names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb holds a line break"),
        ("a\rb", r"a\rb holds a line break"),
        ("a\u2028b", r"a\u2028b holds a line break"),
        ("a\x85", r"a\x85 holds a line break"),
        ("b\udcff", r"b\xff holds bytes that are no UTF-8"),
    ],
)
def test_a_class_folder_whose_name_is_no_line_of_text_is_refused(tmp_path, name, shown):
    write_image(tmp_path / name / "x.png", 1)
    with pytest.raises(ValueError, match=re.escape(f"the class name of {tmp_path}/{shown}")):
        open_images(str(tmp_path))


def test_a_data_set_in_a_folder_that_mindspore_cannot_open_is_one_line(tmp_path):
    write_image(tmp_path / "\udcff" / "a" / "x.png", 1)
    with pytest.raises(ValueError, match=r"the name of the folder .*/\\xff is no UTF-8, .*: rename it, or"):
        open_images(str(tmp_path / "\udcff"))
