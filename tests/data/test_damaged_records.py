"""Records that are not whole: named in a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from src.data.image_source import open_images
from src.data.record_set import SET_FILE
from src.dataset import create_dataset, readable_errors
from tests.helpers.pipeline import batches
from tests.helpers.record_files import record_files


def _without_classes(folder: Path) -> None:
    (folder / SET_FILE).unlink()


def _without_a_file(folder: Path) -> None:
    record_files(folder)[2].unlink()


def _without_an_index(folder: Path) -> None:
    Path(f"{record_files(folder)[0]}.db").unlink()


def _cut(folder: Path) -> None:
    os.truncate(record_files(folder)[4], 5000)


def _empty_set_file(folder: Path) -> None:
    (folder / SET_FILE).write_text("")


def _list_in_set_file(folder: Path) -> None:
    (folder / SET_FILE).write_text("[1, 2]")


def _set_of(folder: Path, **changes: object) -> None:
    content = json.loads((folder / SET_FILE).read_text())
    (folder / SET_FILE).write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_classes, r"has MindRecord files but no readable mindrecord.json with their classes"),
        (_without_a_file, r"cannot read .*images-0002-of-0005.mindrecord, a part of the data set: No such file"),
        (_without_an_index, r"cannot read .*images-0000-of-0005.mindrecord.db, a part of the data set"),
        (_cut, r"images-0004-of-0005.mindrecord has 5000 bytes instead of \d+: copy it again"),
        (_empty_set_file, r"mindrecord.json is damaged"),
        (_list_in_set_file, r"mindrecord.json is damaged"),
        (lambda folder: _set_of(folder, version=2), r"mindrecord.json does not describe records of version 1"),
        (lambda folder: _set_of(folder, counts={}), r"does not describe records"),
        (lambda folder: _set_of(folder, counts={"b": 1, "a": 36}), r"does not describe records"),
        (lambda folder: _set_of(folder, counts={"a": "x"}), r"does not describe records"),
    ],
)
def test_what_is_missing_of_a_record_set_is_named_in_a_line(copied, spoil, message):
    spoil(copied)
    for question in (open_images, lambda path: create_dataset(path, True)):
        with pytest.raises(ValueError, match=message) as caught:
            question(str(copied))
        assert "\n" not in str(caught.value)


def test_a_record_that_was_damaged_in_place_ends_reading_with_a_line(copied):
    path = record_files(copied)[1]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\xff\xd8\xff", b"\0\0\0"))
    with (
        pytest.raises(ValueError, match=r"cannot read the MindRecord files in .*makes it again"),
        readable_errors(open_images(str(copied))),
    ):
        batches(copied, False, 8)
