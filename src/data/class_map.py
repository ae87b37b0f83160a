"""Class maps: a CSV file that says which class of a model a class folder is, where their names differ."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from src.metadata.class_list import same_name
from src.model_utils.config import ConfigError

_HEADER = ["folder", "class"]
_SHOWN = 80  # letters of a wrong line


@dataclass(frozen=True)
class MappedFolder:
    """A line of a class map.

    Args:
        folder: Name of the class folder.
        name: Its class: a name or a number of the model.
        line: Number of the line, from 1.
    """

    folder: str
    name: str
    line: int


@dataclass(frozen=True)
class ClassMap:
    """What a class map says.

    Args:
        path: Its file.
        folders: Its lines, by the folder's name as `same_name` makes it.
    """

    path: str
    folders: Mapping[str, MappedFolder]


def read_class_map(path: str | Path) -> ClassMap:
    """Read a class map.

    Args:
        path: UTF-8 text, with or without a byte-order mark.

    Raises:
        ConfigError: If it cannot be read, is no UTF-8 text or no class map.
    """
    try:
        return parse_class_map(Path(path).read_bytes().decode("utf-8-sig"), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read the class map {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"class map {path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


def parse_class_map(text: str, path: str) -> ClassMap:
    """Read the lines of a class map, CSV of two columns: `folder,class`.

    Args:
        text: The file's content. Empty lines and white space around a field are passed over, and a first line
            `folder,class` too.
        path: The file, for messages.

    Raises:
        ConfigError: If a line is no such pair, or names a folder again, or there is none.
    """
    folders: dict[str, MappedFolder] = {}
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        for row in rows:
            fields = [field.strip() for field in row]
            is_header = rows.line_num == 1 and [field.lower() for field in fields] == _HEADER
            if is_header or fields in ([], [""]):
                continue
            if len(fields) != 2 or not all(fields):
                shown = ",".join(row)[:_SHOWN]
                raise ConfigError(f"class map {path}, line {rows.line_num}: expected 'folder,class', got '{shown}'")
            mapped = MappedFolder(fields[0], fields[1], rows.line_num)
            first = folders.setdefault(same_name(mapped.folder), mapped)
            if first is not mapped:
                raise ConfigError(
                    f"class map {path}, line {mapped.line}: folder {mapped.folder} stands in line {first.line} already"
                )
    except csv.Error as error:
        raise ConfigError(f"class map {path}, line {rows.line_num}: no CSV: {error}") from error
    if not folders:
        raise ConfigError(f"class map {path} is empty: write a line 'folder,class' for each folder")
    return ClassMap(path, folders)
