"""What a person reads before training or evaluation begins if the folder of the images is unfit."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter

import pytest

from src.data.image_source import open_images
from src.data.listing import describe_images
from src.data.usable_images import check_folder, usable_images
from src.dataset import readable_errors
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import Group
from tests.helpers.image_files import encode, photograph
from tests.helpers.pipeline import batches, write_image


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
        (__file__, "is no list of images"),
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


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints/x.png", "__MACOSX/a/._x.png", "a/._x.JPEG", "a/.x.jpg"])
@pytest.mark.parametrize("do_train", [False, True])
def test_hidden_images_are_not_read(tmp_path, hidden, do_train):
    for name in ("a/x.png", "b/y.png", "b/z.JpG"):
        write_image(tmp_path / name, 1)
    write_image(tmp_path / hidden, 200)
    source = open_images(str(tmp_path))
    assert check_folder(source, 2) == 3
    found = batches(source, do_train, 1)
    assert sorted(int(label[0]) for _, label in found) == [0, 1, 1]
    assert max(image.max() for image, _ in found) < 0


@pytest.mark.parametrize("do_train", [False, True])
def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(tmp_path, do_train):
    for name in ("a/x.png", "b/y.png"):
        write_image(tmp_path / name, 1)
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "b" / "link.jpg").symlink_to("/dev/zero")
    source = open_images(str(tmp_path))
    with pytest.raises(ValueError, match=r"cannot read image .*a/pipe\.jpg: not a regular file; .*--bad_images=skip"):
        batches(source, do_train, 1)
    excluded = [str(tmp_path / "a" / "pipe.jpg"), str(tmp_path / "b" / "link.jpg")]
    assert sorted(int(label[0]) for _, label in batches(source, do_train, 1, excluded=excluded)) == [0, 1]
    with pytest.raises(ValueError, match="not a regular file"):
        source.check_regular(excluded[:1])


def bomb(width: int, height: int) -> bytes:
    """Return a PNG file with a header of any size and nothing behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("do_train", [False, True])
@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((20000, 20000), "20000 x 20000 pixels, more than max_image_pixels, 178956970"),
        ((1, 100000), "too elongated: 1 x 100000 pixels"),
    ],
)
def test_an_image_beyond_the_limits_ends_the_iteration_before_it_is_decoded(tmp_path, do_train, size, reason):
    write_image(tmp_path / "a" / "x.png", 1)
    (tmp_path / "a" / "bomb.png").write_bytes(bomb(*size))
    source = open_images(str(tmp_path))
    message = re.escape(f"cannot read image {tmp_path}/a/bomb.png: {reason}; ")
    with pytest.raises(ValueError, match=message), readable_errors(source):
        batches(source, do_train, 1)


def test_webp_has_the_pixels_of_the_same_picture_without_loss(tmp_path):
    for kind in ("WEBP", "PNG"):
        (tmp_path / kind / "a").mkdir(parents=True)
        (tmp_path / kind / "a" / f"x.{kind}").write_bytes(encode(photograph(), kind, lossless=True))
    (webp, _), (png, _) = (batches(str(tmp_path / kind), False, 1)[0] for kind in ("WEBP", "PNG"))
    assert (webp == png).all()


def test_what_is_not_read_is_said_at_the_start(tmp_path, capsys):
    for name in ("a/x.png", "b/y.jPEG"):
        write_image(tmp_path / name, 1)
    for name in ("a/1.gif", "a/2.GIF", "b/sub/3.jpg", "b/._y.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    config = parse_config(["--num_classes=2"], lambda _: "CPU")
    usable_images(config, open_images(str(tmp_path)), Group())
    said = capsys.readouterr()
    (first,) = said.out.splitlines()
    assert first.startswith(f"2 images in 2 classes of {tmp_path}; not read: 2 .gif, ")
    assert set(first.split("; not read: ")[1].split(", ")) == {
        "2 .gif",
        "1 hidden",
        "1 in sub-folders",
        "1 beside the class folders",
    }
    assert said.err == f"warning: 5 files of {tmp_path} are not read; --recursive reads those in sub-folders\n"


def test_rare_kinds_of_what_is_not_read_are_counted_together():
    unread = Counter({f".{kind}": number for kind, number in zip("abcdefg", (9, 8, 7, 6, 5, 2, 1), strict=True)})
    first, warning = describe_images("photos", {"cat": 20}, unread)
    assert first == "20 images in 1 classes of photos; not read: 9 .a, 8 .b, 7 .c, 6 .d, 5 .e, 3 others"
    assert warning == "warning: 38 files of photos are not read"


def test_an_empty_class_folder_is_named_before_the_number_of_classes(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"no images in .*/b: remove the folder, or add files"):
        check_folder(open_images(str(tmp_path)), 1)


def test_a_class_whose_images_are_all_bad_is_not_asked_for_other_suffixes(tmp_path):
    for name in ("a/x.png", "b/y.png"):
        write_image(tmp_path / name, 1)
    with pytest.raises(ValueError, match=r"no readable images in .*/b: all that were there are left out as bad"):
        check_folder(open_images(str(tmp_path)), 2, excluded=[str(tmp_path / "b" / "y.png")])
