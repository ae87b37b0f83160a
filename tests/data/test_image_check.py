"""Every kind of bad image is found and named, every good one passes, and no file can hang or crash the check."""

from __future__ import annotations

import io
import os
import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from src.common.files import printable, to_list
from src.common.progress import Progress
from src.data.image_check import check_image, find_bad_images
from src.data.image_limits import ImageLimits
from src.data.parallel_check import find_bad
from tests.helpers.image_files import GOOD, JPEGS, encode, make_tree, photograph


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file for one content after the other; also for Hypothesis, which runs a test body many times."""
    path = tmp_path_factory.mktemp("scratch") / "image.jpg"

    def write(data: bytes, name: str = path.name) -> Path:
        target = path.with_name(name)
        target.write_bytes(data)
        return target

    return write


@pytest.mark.parametrize("name", GOOD)
def test_good_images_pass(scratch, name):
    assert check_image(scratch(GOOD[name], name)) == ""


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_images_are_found(scratch, name, share):
    data = GOOD[name]
    if name == "camera.jpg":
        data = GOOD["baseline.jpg"]  # the second picture of such a file is not read
    assert check_image(scratch(data[: int(share * len(data))], name)) != ""


@pytest.mark.parametrize("missing", [1, 4, 8, 12, 13])
def test_a_png_without_its_end_is_found_although_pillow_takes_it(scratch, missing):
    assert "truncated" in check_image(scratch(GOOD["upper.PNG"][:-missing], "a.png"))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.jpg", b"", "empty file"),
        ("a.jpg", b"just a text\n", "not an image"),
        ("a.jpg", b"<html>404 Not Found</html>", "not an image"),
        ("a.jpg", bytes(5000), "not an image"),
        ("a.jpg", encode(photograph(), "GIF"), "GIF data, which the training decoder does not take"),
        ("a.gif", encode(photograph(), "GIF"), "training does not read .gif files"),
        ("a.jpg", GOOD["baseline.jpg"][:-300], "truncated"),
    ],
)
def test_bad_images_get_their_reason(scratch, name, data, reason):
    assert reason in check_image(scratch(data, name))


def test_an_image_beyond_the_limit_is_bad(scratch):
    reason = "96 x 64 pixels, more than max_image_pixels, 6143"
    assert check_image(scratch(GOOD["upper.PNG"]), ImageLimits(6143)) == reason
    assert check_image(scratch(GOOD["upper.PNG"]), ImageLimits(6144)) == ""


def test_what_is_no_file_is_bad(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    assert check_image(tmp_path / "folder.jpg") == "not a regular file"
    assert check_image(tmp_path / "pipe.jpg") == "not a regular file"
    assert check_image(tmp_path / "link.jpg") == "No such file or directory"


def text(words: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", words, zip=len(words) > 1000)
    return info


def with_a_wrong_checksum_of_a_text() -> bytes:
    data = bytearray(encode(photograph(), "PNG", pnginfo=text("a few words")))
    data[data.index(b"tEXt") + 8] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("no end marker.jpg", GOOD["baseline.jpg"][:-2]),
        ("wrong checksum of a text.png", with_a_wrong_checksum_of_a_text()),
        ("large text.png", encode(photograph(), "PNG", pnginfo=text("x" * 3_000_000))),
        ("BigTIFF.tif", encode(photograph(), "TIFF", big_tiff=True)),
        ("x.WebP", encode(photograph(), "WEBP")),
        ("x.jfif", GOOD["baseline.jpg"]),
    ],
)
def test_what_the_decoder_of_training_reads_is_good(scratch, name, data):
    assert check_image(scratch(data, name)) == ""


GREY_OF_THREE = encode(photograph(), "TIFF").replace(
    struct.pack("<HHII", 262, 3, 1, 2), struct.pack("<HHII", 262, 3, 1, 1)
)


def test_a_tiff_file_that_only_the_decoder_of_training_reads_is_good_if_its_pixels_are_there(scratch):
    assert check_image(scratch(GREY_OF_THREE, "a.tif")) == ""
    assert check_image(scratch(GREY_OF_THREE[:-1], "a.tif")) == "not an image"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("float.tif", encode(Image.fromarray(np.ones((64, 64), np.float32)), "TIFF")),
        ("int32.tif", encode(Image.fromarray(np.ones((64, 64), np.int32)), "TIFF")),
        ("zstd.tif", encode(photograph(), "TIFF", compression="zstd")),
    ],
)
def test_what_only_pillow_reads_is_bad(scratch, tmp_path, monkeypatch, name, data):
    monkeypatch.chdir(tmp_path)
    assert "the decoder of training cannot read this kind of file" in check_image(scratch(data, name))
    assert os.getcwd() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []  # MindSpore writes what it cannot decode into the current folder


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(JPEGS), data=st.data())
def test_any_cut_through_a_jpeg_is_found(scratch, name, data):
    # All but the end-of-image marker, two bytes: without it the picture itself is whole, and Pillow may accept it.
    length = data.draw(st.integers(0, len(GOOD[name]) - 3))
    assert check_image(scratch(GOOD[name][:length])) != ""


@settings(max_examples=150, deadline=None)
@given(head=st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0"]), tail=st.binary())
def test_random_bytes_are_bad_and_never_an_exception(scratch, head, tail):
    assert check_image(scratch(head + tail)) != ""


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(GOOD)), data=st.data())
def test_damaged_bytes_never_raise(scratch, name, data):
    content = bytearray(GOOD[name])
    for _ in range(8):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    # One that the damage makes huge is refused by its header, as without a limit; decoding it takes seconds.
    reason = check_image(scratch(bytes(content)), ImageLimits(1_000_000))
    assert "\n" not in reason


def check_or_die(path: Path) -> str:
    """Stand in for a decoder that some files crash."""
    if path.stem.startswith("killer"):
        os.kill(os.getpid(), signal.SIGKILL)
    return check_image(path)


def test_a_file_that_kills_its_worker_is_one_more_bad_file(tmp_path):
    names = [f"{n:03d}.jpg" for n in range(70)]
    make_tree(tmp_path, [*names, "killer1.jpg", "killer2.jpg", "035_empty.jpg"])
    (tmp_path / "035_empty.jpg").write_bytes(b"")
    paths = sorted(tmp_path.iterdir())
    stream = io.StringIO()
    with Progress(len(paths), "check", stream=stream) as progress:
        bad = sorted(find_bad(paths, 2, check_or_die, progress))
    assert [(path.name, reason) for path, reason in bad] == [
        ("035_empty.jpg", "empty file (0 bytes)"),
        ("killer1.jpg", "the decoder's process was killed while reading it"),
        ("killer2.jpg", "the decoder's process was killed while reading it"),
    ]
    assert "check: 73/73 images (100%)" in stream.getvalue()
    assert stream.getvalue().endswith("3 bad\n")


def test_no_paths_are_no_bad_images():
    assert find_bad_images([], 1) == []


def test_names_that_are_not_utf_8_can_be_printed_and_are_listed_as_they_are():
    path = os.fsdecode(b"a/\xe9.jpg")
    assert printable(path) == "a/\\xe9.jpg"
    assert to_list([path, Path("b.jpg")]) == b"a/\xe9.jpg\nb.jpg\n"
