"""Zip files that are damaged or would do harm: refused by name, with nothing left."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.modelarts.zip_dataset import MAX_RATIO, unzip_dataset
from tests.helpers.zip_files import add_raw, make_zip


def refusal(archive: Path) -> str:
    """Return the message of an archive that is refused, having checked that nothing is left."""
    before = sorted(os.listdir(archive.parent))
    with pytest.raises(ValueError, match=re.escape(str(archive))) as caught:
        unzip_dataset(archive, archive.parent / "out", "job")
    assert sorted(os.listdir(archive.parent)) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -1, -22])
def test_a_truncated_file_says_so(tmp_path, cut):
    archive = make_zip(tmp_path / "data.zip", {"a": os.urandom(300)})
    archive.write_bytes(archive.read_bytes()[:cut])
    assert "not a complete zip file" in refusal(archive)


@pytest.mark.parametrize(("count", "comment"), [(3, b""), (3, b"made by hand"), (65540, b"made by hand")])
def test_an_entry_whose_length_hides_the_others_is_seen(tmp_path, count, comment):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.comment = comment
        for number in range(count):
            opened.writestr(str(number), b"")
    data = bytearray(archive.read_bytes())
    last = data.rindex(b"PK\x01\x02")
    before = data.rindex(b"PK\x01\x02", 0, last)
    data[before + 32] = last - before  # the comment of the last but one entry takes the last one in
    archive.write_bytes(data)
    assert f"{count - 1} entries were found, not {count}" in refusal(archive)


def test_a_large_data_set_is_read_to_its_last_entry(tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(65535):
            opened.writestr(f"{number}.jpg", b"")
        opened.writestr("../last", b"")
    assert "entry '../last' leads out of the folder" in refusal(archive)


def test_a_wrong_checksum_names_the_entry(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"first", "b": b"second"}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"second", b"secand", 1))
    assert "entry 'b' is damaged: Bad CRC-32" in refusal(archive)


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "a/..", "/etc/x", "//host/x", "C:/x", "c:x", "a\\b", "..\\x", "\\\\host\\x", "/", "../"],
)
def test_entries_that_leave_the_folder_are_refused_by_name(tmp_path, name):
    message = refusal(add_raw(tmp_path / "data.zip", name))
    assert f"entry {name!r} leads out of the folder; nothing was extracted" in message


@given(st.text(st.sampled_from("ab./\\:\0\n"), max_size=9))
def test_no_name_writes_outside(name):
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "1" / "2" / "3"
        inner.mkdir(parents=True)
        archive = add_raw(inner / "data.zip", name)
        try:
            unzip_dataset(archive, inner / "out", "job")
        except ValueError:
            assert os.listdir(inner) == ["data.zip"]
        else:
            assert sorted(os.listdir(inner)) == ["data.zip", "out"]
        assert [os.listdir(Path(folder)), os.listdir(inner.parents[1]), os.listdir(inner.parent)] == [
            ["1"],
            ["2"],
            ["3"],
        ]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_refused_by_name(tmp_path, kind):
    message = refusal(add_raw(tmp_path / "data.zip", "train/evil", b"/etc/passwd", kind | 0o777))
    assert "entry 'train/evil' is neither a plain file nor a folder" in message


@pytest.mark.parametrize("name", ["", "\0", "\0b", "a\0b", "a\nb", ".", "\x1b[2J"])
def test_names_that_no_file_should_have_are_refused(tmp_path, name):
    assert f"entry {name!r} has no usable name" in refusal(add_raw(tmp_path / "data.zip", name))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["good/a.jpg", "./good/a.jpg", "good//a.jpg"])
def test_an_entry_that_is_there_twice_is_refused(tmp_path, name):
    assert f"entry {name!r} is there twice" in refusal(add_raw(tmp_path / "data.zip", name))


def test_a_name_that_is_file_and_folder_is_refused(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"a": b"x", "a/b": b"y"})
    assert "entry 'a' is both a file and a folder" in refusal(archive)


def test_encrypted_entries_are_refused_by_name(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"secret": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[6] |= 1
    archive.write_bytes(data)
    assert "entry 'secret' is encrypted" in refusal(archive)


def test_an_unknown_compression_is_refused_by_name(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {"odd": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 99
    archive.write_bytes(data)
    assert "entry 'odd' is compressed by method 99" in refusal(archive)


def test_a_bomb_is_refused_before_anything_is_written(tmp_path):
    message = refusal(make_zip(tmp_path / "data.zip", {"good": b"x", "bomb": bytes(2**24)}))
    assert "entry 'bomb' would grow from" in message and f"16777216 bytes, more than {MAX_RATIO} times" in message


def test_many_small_bombs_are_refused_together(tmp_path):
    archive = make_zip(tmp_path / "data.zip", {str(number): bytes(2**20) for number in range(20)})
    assert f"would become {20 * 2**20}, more than {MAX_RATIO} times" in refusal(archive)
