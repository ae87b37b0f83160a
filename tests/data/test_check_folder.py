"""What a person reads before training or evaluation begins if the folder of the images is unfit."""

from __future__ import annotations

import re

import pytest

from src.data.image_source import open_images
from src.data.usable_images import check_folder
from tests.helpers.pipeline import write_image


def test_images_that_are_left_out_do_not_count(numbered):
    b = [str(path) for path in (numbered / "b").iterdir()]
    source = open_images(str(numbered))
    assert source.counts(b[1:]) == {"a": 14, "b": 1, "c": 13}
    assert check_folder(source, 3, 14, 2, b[1:]) == 28
    with pytest.raises(ValueError, match="has 28 readable images, less than one batch of 15"):
        check_folder(source, 3, 15, 2, b[1:])
    with pytest.raises(ValueError, match=r"no readable images in .*b:"):
        check_folder(source, 3, 1, 1, b)


def test_folders_that_do_not_exist_or_hold_no_classes_are_one_line(tmp_path):
    for path, message in [
        (str(tmp_path / "absent"), "absent: No such file"),
        ("", r"\(none given\)"),
        (str(tmp_path), "one folder a class"),
        (__file__, "Not a directory"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_folder(open_images(path), 2)


def test_a_fit_folder_gives_its_classes_and_images(numbered):
    source = open_images(str(numbered))
    assert (source.class_names, check_folder(source, 3, 20, 2)) == (["a", "b", "c"], 40)


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
        check_folder(open_images(str(numbered)), *arguments)


def test_a_class_without_images_is_named(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    for name in ("b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "x.gif").touch()
    with pytest.raises(ValueError, match=r"no images in .*b and 1 more class folders: .*\.jpg"):
        check_folder(open_images(str(tmp_path)), 3)


def test_images_in_a_hidden_folder_are_an_error_as_mindspore_would_miscount_them(tmp_path):
    for name in ("a", ".ipynb_checkpoints"):
        write_image(tmp_path / name / "x.png", 1)
    with pytest.raises(ValueError, match=r"hidden folder .*\.ipynb_checkpoints holds images"):
        check_folder(open_images(str(tmp_path)), 1)


@pytest.mark.parametrize("name", ["._x.JPEG", ".x.jpg"])
def test_a_hidden_image_is_an_error_as_training_would_read_it(tmp_path, name):
    write_image(tmp_path / "a" / "x.png", 1)
    write_image(tmp_path / "a" / name, 1)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'a' / name} is hidden")):
        check_folder(open_images(str(tmp_path)), 1)
