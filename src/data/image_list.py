"""Lists of images in the place of class folders: CSV files of paths with classes or labels, and label files."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from src.common.files import from_cell, printable
from src.data.image_folders import IMAGE_SUFFIXES, is_image_name
from src.data.label_file import parse_labels
from src.data.listing import Listing, list_images
from src.metadata.class_list import check_name

_CLASSES, _LABELS = ["path", "class"], ["path", "label"]
_MOST_CLASSES = 10**6
_FORM = (
    "a list of images is a CSV file that begins with the line 'path,class' or 'path,label', or a label file of lines "
    "'path label'"
)

Rows = Iterator[tuple[str, str, str]]  # place for messages, path as it stands there, class or label


def list_data(path: str, recursive: bool = False) -> Listing:
    """List the images of a folder of class folders, as list_images does, or of a list of images.

    Args:
        path: The folder, or the file of the list.
        recursive: Whether images in sub-folders of class folders count.

    Raises:
        ValueError: If the folder or the list does not fit.
    """
    return read_list(path) if os.path.isfile(path) else list_images(path, recursive=recursive)


def read_list(path: str) -> Listing:
    """Read a list of images.

    Args:
        path: UTF-8 text, CSV with the columns `path` and `class`, a name, or `label`, a number from 0; or a label file
            as tools/imgid2label.py writes it and ImageNet's val.txt is. Paths are relative to the folder of the list.

    Returns:
        The images by class: names in sorted order, labels in the order of the numbers, with as many digits each.

    Raises:
        ValueError: If it cannot be read or is no such list, an image is missing or named twice.
    """
    folder = os.path.dirname(path)
    try:
        changed = os.stat(path).st_mtime_ns
        text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise ValueError(f"cannot read the list of images {path}: {error.strerror}") from error
    header = [field.strip().lower() for field in text.partition("\n")[0].split(",")]
    is_csv = header in (_CLASSES, _LABELS)
    by_class: dict[str, list[str]] = defaultdict(list)
    places: dict[str, str] = {}
    not_regular = []
    for place, name, class_name in _csv_rows(text, path) if is_csv else _label_rows(text, path):
        image = os.path.join(folder, name)
        first = places.setdefault(image, place)
        if first != place:
            raise ValueError(f"{place}: {printable(name)} stands in {first} already")
        if not is_image_name(name):
            raise ValueError(f"{place}: {printable(name)} does not end in one of {' '.join(IMAGE_SUFFIXES)}")
        if not os.path.exists(image):
            raise ValueError(f"{place}: no file {printable(image)}; paths are relative to the folder of the list")
        if not os.path.isfile(image):
            not_regular.append(image)
        if header == _CLASSES:
            check_name(class_name, place)
        elif not (class_name.isascii() and class_name.isdecimal() and int(class_name) < _MOST_CLASSES):
            raise ValueError(f"{place}: expected a label from 0 to {_MOST_CLASSES - 1}, got {printable(class_name)}")
        by_class[class_name].append(image)
    if not by_class:
        raise ValueError(f"{path} lists no image: {_FORM}")
    if header != _CLASSES:
        by_class = _by_number(by_class)
    images = {name: sorted(by_class[name], key=os.fsencode) for name in sorted(by_class)}
    return Listing(
        folder,
        images,
        (),
        tuple(not_regular),
        Counter(),
        changed={path: changed},
        by_path=True,
        is_list=True,
        is_numbered=header != _CLASSES,
    )


def _by_number(by_label: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the images of each label, whose names are sorted as the numbers are."""
    digits = len(str(max(map(int, by_label))))
    found: dict[str, list[str]] = defaultdict(list)
    for label, images in by_label.items():
        found[f"{int(label):0{digits}}"] += images
    return found


def _csv_rows(text: str, path: str) -> Rows:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, row in enumerate(rows):
            fields = [from_cell(field.strip()) for field in row]
            place = f"{path}, line {rows.line_num}"
            if number == 0 or fields in ([], [""]):
                continue
            if len(fields) != 2 or not all(fields):
                raise ValueError(f"{place}: expected two fields, got {printable(','.join(row))[:80]!r}")
            yield place, fields[0], fields[1]
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num}: no CSV: {error}") from error


def _label_rows(text: str, path: str) -> Rows:
    labels = parse_labels(text)
    if labels.malformed or not labels.by_path:
        reason = next(iter(labels.malformed), "it is empty")
        raise ValueError(f"{path} is no list of images: {printable(reason)}; {_FORM}".replace("\0", "\\x00"))
    for name, label in labels.by_path.items():
        yield path, name, str(label)
