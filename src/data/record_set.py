"""A folder of MindRecord files that holds the images of one data set; a small file tells their classes and counts."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from src.data.image_folders import class_names
from src.data.image_list import read_list
from src.metadata.class_list import check_name

SET_FILE = "mindrecord.json"  # written last: it says that all records are there
RECORD_SUFFIX = ".mindrecord"
INDEX_SUFFIX = ".db"  # MindSpore's SQLite index, beside each file of records

_VERSION = 1


@dataclass(frozen=True)
class RecordSet:
    """A complete data set of MindRecord files.

    Args:
        counts: Number of images by class name, sorted by name; the label of a class is its position.
        files: Size in bytes by file name, of the records and of their indexes, sorted by name.
        left_out: Names, <class>/<file name>, of the images that were damaged and so left out.
    """

    counts: dict[str, int]
    files: dict[str, int]
    left_out: list[str]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, by label."""
        return list(self.counts)

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(self.counts.values())

    def record_files(self, folder: str) -> list[str]:
        """Return the paths of the MindRecord files, in the order of their images."""
        return [os.path.join(folder, name) for name in self.files if name.endswith(RECORD_SUFFIX)]

    def to_json(self) -> str:
        """Return the content of the set's file."""
        return json.dumps({"version": _VERSION, **asdict(self)}, indent=1) + "\n"


def find_records(folder: str) -> RecordSet | None:
    """Return the record set that a folder holds.

    Args:
        folder: Any path.

    Returns:
        The set, or None if the folder holds no MindRecord files.

    Raises:
        ValueError: If the set is unfinished, its classes are lost, or a file is missing or of another size.
    """
    path = os.path.join(folder, SET_FILE)
    try:
        with open(path, "rb") as file:
            records = _parse(file.read(), path)
    except OSError as error:
        if holds_record_files(folder):
            raise ValueError(
                f"{folder} has MindRecord files but no readable {SET_FILE} with their classes: run "
                f"tools/make_mindrecord.py to its end, which writes it last, or copy that file too"
            ) from error
        return None
    _check_files(folder, records)
    return records


def data_set_classes(folder: str) -> list[str]:
    """Return the names of the classes of a data set, as training numbers them; no class folder is opened.

    Args:
        folder: Folder of class folders, or of MindRecord files, which come before class folders beside them; or file of
            a list of images.

    Raises:
        ValueError: If it is neither, or a part of the MindRecord files is missing.
    """
    records = find_records(folder)
    if records:
        return records.class_names
    return list(read_list(folder).images) if os.path.isfile(folder) else class_names(folder)


def holds_record_files(folder: str) -> bool:
    """Tell whether a folder holds MindRecord files, complete or not."""
    try:
        return any(name.endswith(RECORD_SUFFIX) for name in os.listdir(folder or "."))
    except OSError:
        return False


def _parse(content: bytes, path: str) -> RecordSet:
    """Return the set that the content describes; raise ValueError if it is none."""
    try:
        found = json.loads(content)
        version = found.pop("version")
        records = RecordSet(**found)
        numbers = [*records.counts.values(), *records.files.values()]
        valid = list(records.counts) == sorted(records.counts) and all(type(number) is int for number in numbers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: make the records again with tools/make_mindrecord.py") from error
    for name in records.counts:
        check_name(name, path)
    if version != _VERSION or not valid or not records.counts:
        raise ValueError(f"{path} does not describe records of version {_VERSION}: make them with this project's tool")
    return records


def _check_files(folder: str, records: RecordSet) -> None:
    """Raise if a file of the set is missing or has another size than when it was written."""
    for name, size in records.files.items():
        path = os.path.join(folder, name)
        try:
            found = os.path.getsize(path)
        except OSError as error:
            raise ValueError(
                f"cannot read {path}, a part of the data set: {error.strerror}; copy all files of the set"
            ) from error
        if found != size:
            raise ValueError(f"{path} has {found} bytes instead of {size}: copy it again, or make the records again")
