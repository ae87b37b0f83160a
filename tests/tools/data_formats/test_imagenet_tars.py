"""What the tar files of ImageNet hold is found, and others are refused."""

from __future__ import annotations

import io
import os
import re
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.tars import SYNSETS, link, tar, train_tar
from tools.data_formats.imagenet_tars import CLASSES, TRAIN_IMAGES, check_counts, read_synsets, train_images, val_images
from tools.data_formats.stored_image import StoredImage


def test_a_folder_entry_and_names_with_a_dot_in_front_are_taken(tmp_path):
    entries = [(link("./", "", tarfile.DIRTYPE), b""), ("./n01440764.tar", tar([("./a.JPEG", b"xyz")]))]
    (image,) = train_images(train_tar(tmp_path, entries))["n01440764"]
    assert (image.name, image.read()) == ("n01440764/a.JPEG", b"xyz")


@given(st.data())
def test_a_tar_that_was_cut_off_is_never_taken_for_the_whole(tmp_path_factory, data):
    whole = tar([(f"{synset}.tar", tar([(f"{n}.JPEG", os.urandom(700)) for n in range(3)])) for synset in SYNSETS])
    path = tmp_path_factory.mktemp("cut") / "x.tar"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 2 * 10240))])
    try:
        found = train_images(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        # Cut between two entries, it looks like a smaller one, which the counts tell.
        assert len(found) < len(SYNSETS) or sum(map(len, found.values())) < 9
        with pytest.raises(ValueError, match="instead of 1,281,167 in 1,000"):
            check_counts(found, "train")


def with_header(path, name: bytes, size: int, kind: bytes = tarfile.REGTYPE) -> None:
    """Give the entry of a tar file whose name ends so another size and type; its header stays without an error."""
    content = bytearray(path.read_bytes())
    start = next(at for at in range(0, len(content), 512) if content[at : at + 100].rstrip(b"\0").endswith(name))
    content[start + 124 : start + 136] = (size % 2**96).to_bytes(12, "big")
    content[start + 156 : start + 157] = kind
    content[start + 148 : start + 156] = b" " * 8
    content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    path.write_bytes(content)


@pytest.mark.parametrize("name", [b"n01440764.tar", b"n01443537.tar", b"a.JPEG", b"c.JPEG"])
@pytest.mark.parametrize(
    ("size", "kind"),
    [(-512, b"0"), (-1024, b"0"), (-(2**70), b"0"), (2**95 + 2**60, b"0"), (2**95 + 2**90, b"0"), (-512, b"L"),
     (-512, b"x"), (2**95 + 2**40, b"L"), (2**95 + 2**40, b"x"), (-512, b"1"), (-512, b"S")],
)  # fmt: skip
def test_a_header_that_lies_about_its_size_is_refused_at_once(tmp_path, name, size, kind):
    images = [("a.JPEG", b"x" * 700), ("b.JPEG", b"y"), ("c.JPEG", b"z" * 700)]
    path = train_tar(tmp_path, [(f"{synset}.tar", tar(images)) for synset in SYNSETS])
    with_header(path, name, size, kind)
    with pytest.raises(ValueError, match=re.escape(f"{path} is no complete, uncompressed tar file (")):
        train_images(path)


@pytest.mark.parametrize(
    "headers", [{"size": "-512"}, {"size": "9" * 5000}, {"GNU.sparse.size": "x"}, {"GNU.sparse.realsize": "3"}]
)
def test_headers_before_an_entry_that_lie_about_it_are_refused_too(tmp_path, headers):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("a.JPEG")
        entry.size, entry.pax_headers = 700, headers
        archive.addfile(entry, io.BytesIO(bytes(700)))
    path = train_tar(tmp_path, [("n01440764.tar", buffer.getvalue())])
    with pytest.raises(ValueError, match="is no complete, uncompressed tar file"):
        train_images(path)


@pytest.mark.parametrize("name", [b"n01443537.tar", b"b.JPEG"])
def test_a_damaged_header_is_not_taken_for_the_end(tmp_path, name):
    images = [("a.JPEG", b"x"), ("b.JPEG", b"y")]
    path = train_tar(tmp_path, [(f"{synset}.tar", tar(images)) for synset in SYNSETS])
    content = bytearray(path.read_bytes())
    content[content.index(name) + 110] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tar file \(a damaged header at byte \d+\): download it again"):
        train_images(path)


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["ILSVRC2012_val_00000001.JPEG"], "n01440764\nn01443537\n", "holds 1 images, but .* has 2 lines"),
        (["ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG"], "n01440764\n", "by the 1 lines of"),
        (["ILSVRC2012_val_00000001.JPEG"] * 2, "n01440764\nn01443537\n", "each once"),
        (["ILSVRC2012_val_00000000.JPEG"], "n01440764\n", "val_00000000.JPEG, but its images are"),
        (["cat.JPEG"], "n01440764\n", "cat.JPEG, but its images are"),
        (["ILSVRC2012_val_00000001.JPEG"], "490\n", "line 1: '490' is no synset such as n01440764"),
        (["ILSVRC2012_val_00000001.JPEG"], "n01440764\n\nn01443537\n", "line 2: '' is no synset"),
        (["ILSVRC2012_val_00000001.txt"], "n01440764\n", "which is no image"),
    ],
)
def test_val_images_and_labels_that_do_not_fit_are_refused(tmp_path, names, labels, message):
    (tmp_path / "val.tar").write_bytes(tar((name, b"x") for name in names))
    (tmp_path / "labels.txt").write_text(labels)
    with pytest.raises(ValueError, match=message):
        val_images(tmp_path / "val.tar", tmp_path / "labels.txt")


def test_line_ends_of_windows_and_empty_lines_at_the_end_are_no_labels(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"n01440764\r\nn01443537 \r\n\r\n")
    assert read_synsets(tmp_path / "labels.txt") == SYNSETS[:2]


def numbered(counts: list[int]) -> dict[str, list[StoredImage]]:
    return {f"n{label:08d}": [StoredImage("x", 0, 1, "x")] * count for label, count in enumerate(counts)}


def test_the_numbers_of_the_original_are_accepted_and_no_others():
    train = [TRAIN_IMAGES // CLASSES] * (CLASSES - 1)
    train.append(TRAIN_IMAGES - sum(train))
    check_counts(numbered(train), "train")
    check_counts(numbered([50] * CLASSES), "val")
    for counts, split in (
        (train[1:], "train"),
        ([*train[1:], train[0] + 1], "train"),
        ([50] * 999, "val"),
        ([49, 51] + [50] * 998, "val"),
    ):
        with pytest.raises(ValueError, match="use --allow_other_counts for a part"):
            check_counts(numbered(counts), split)
