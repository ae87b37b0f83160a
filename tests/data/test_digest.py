"""The images of a training are told from others by a digest of what is known of them without opening one."""

from __future__ import annotations

import builtins
import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from src.data.image_source import open_images

FILES = ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "cafe\u0301/1.png")


def digest(folder: Path, *files: str, excluded: tuple[str, ...] = ()) -> str:
    """Return the digest of image folders with these files."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return open_images(str(folder)).digest(excluded)


def test_copies_of_a_folder_have_one_digest_wherever_they_lie(tmp_path):
    first = digest(tmp_path / "a", *FILES)
    assert first.startswith("folders:") and len(first) == len("folders:") + 64
    assert digest(tmp_path / "deep" / "b", *reversed(FILES), "notes.txt") == first
    assert open_images(f"{tmp_path}/a/").digest() == first
    assert digest(tmp_path / "c", *(unicodedata.normalize("NFC", name) for name in FILES)) == first


@pytest.mark.parametrize(
    "files",
    [FILES[:-1], (*FILES, "dog/2.jpg"), (*FILES[1:], "cat/3.jpg"), ("dog/2.jpg", *FILES[:1], *FILES[2:])],
)
def test_other_images_have_another_digest(tmp_path, files):
    assert digest(tmp_path / "a", *FILES) != digest(tmp_path / "b", *files)


def test_names_that_join_to_the_same_text_are_not_the_same(tmp_path):
    assert digest(tmp_path / "a", "ab/c.jpg", "d/e.jpg") != digest(tmp_path / "b", "a/bc.jpg", "d/e.jpg")


def test_an_image_that_is_left_out_does_not_count(tmp_path):
    without = digest(tmp_path / "a", *FILES[1:])
    assert digest(tmp_path / "b", *FILES, excluded=(f"{tmp_path}/b/{FILES[0]}",)) == without


def test_names_that_are_no_text_count_too(tmp_path):
    name = os.fsdecode(b"cat/\xff.jpg")
    assert digest(tmp_path / "a", *FILES, name) != digest(tmp_path / "b", *FILES)


def test_no_image_is_opened_or_asked_for_its_size(tmp_path, monkeypatch):
    digest(tmp_path, *FILES)
    source = open_images(str(tmp_path))
    refused = []
    for module, name in ((builtins, "open"), (os, "stat"), (os.path, "getsize"), (os, "lstat")):
        monkeypatch.setattr(module, name, lambda *arguments, **_: refused.append(arguments))
    source.digest()
    monkeypatch.undo()
    assert refused == []


def test_records_have_that_of_their_counts_and_files(records, copied, tmp_path):
    first = open_images(str(records)).digest()
    assert first.startswith("mindrecord:") and len(first) == len("mindrecord:") + 64
    assert open_images(str(copied)).digest() == first
    text = (copied / "mindrecord.json").read_text()
    assert '"0": 12' in text
    (copied / "mindrecord.json").write_text(text.replace('"0": 12', '"0": 11'))
    assert open_images(str(copied)).digest() != first
    with pytest.raises(ValueError, match="cannot be left out"):
        open_images(str(records)).digest(["0/a.png"])
    shutil.rmtree(copied)
