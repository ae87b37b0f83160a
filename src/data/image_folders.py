"""Image folders, one folder a class: what counts as an image, which label a class has, in which order images come."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NoReturn

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")  # in any letter case
UNREAD_SUFFIXES = (".gif", ".heic", ".heif", ".avif")  # images to people, and none to training
# MindSpore compares suffixes to the letter.
SUFFIX_FORMS = tuple(
    "".join(letters) for suffix in IMAGE_SUFFIXES for letters in product(*({c, c.upper()} for c in suffix))
)
_ARCHIVE_REMAINS = "__MACOSX"  # holds what macOS adds to a zip file


@dataclass(frozen=True)
class Listing:
    """What image folders hold, by names alone.

    Args:
        images: Paths of the images, the folder in front, by class name; both sorted, the order of the numbers.
        numbers: MindSpore's number of each of them, class after class: it counts hidden files too.
        not_regular: Those that are folders, pipes or devices, or lead to one.
        unread: Number of the other files by what keeps them from being read.
    """

    images: dict[str, list[str]]
    numbers: Sequence[int]
    not_regular: tuple[str, ...]
    unread: Counter[str]

    @property
    def has_hidden(self) -> bool:
        """Whether MindSpore would read or count more than the images."""
        return bool(self.unread[_HIDDEN])

    @property
    def paths(self) -> list[str]:
        """The images of all classes, in the order of the labels."""
        return [path for images in self.images.values() for path in images]


_HIDDEN = "hidden"
_IN_FOLDERS = "in sub-folders"
_BESIDE = "beside the class folders"


def is_image_name(name: str) -> bool:
    """Tell whether a file is an image by its suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def class_names(dataset_path: str) -> list[str]:
    """Return the names of the class folders, sorted.

    Args:
        dataset_path: Folder of the class folders, of which hidden ones are passed over.

    Raises:
        ValueError: If the folder is missing or has no class folders.
    """
    try:
        with os.scandir(dataset_path or "") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not _is_hidden(entry.name))
    except OSError as error:
        name = dataset_path or "(none given)"
        raise ValueError(f"cannot read the data set folder {name}: {error.strerror}; check the path") from error
    if not names:
        raise ValueError(f"no class folders in {dataset_path}: it needs one folder a class with the images inside")
    return names


def list_images(dataset_path: str, names: Sequence[str] | None = None) -> Listing:
    """List what the class folders of a data set hold; no file is opened.

    Args:
        dataset_path: Folder of the class folders.
        names: Names of the class folders, sorted; None takes all that are there.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read.
    """
    names = class_names(dataset_path) if names is None else names
    found: dict[str, list[str]] = {}
    unread: Counter[str] = Counter()
    not_regular: list[str] = []
    numbers: list[int] = []
    count = 0
    for name in names:
        folder = os.path.join(dataset_path, name)
        named = []
        for entry in _entries(folder):
            if entry.name.endswith(SUFFIX_FORMS):
                named.append(entry)
            elif entry.is_dir():
                unread[_IN_FOLDERS] += _count_images(entry.path)
            elif not _is_hidden(entry.name):
                unread[os.path.splitext(entry.name)[1].lower() or "without a suffix"] += 1
        images = found[name] = []
        for entry in sorted(named, key=lambda entry: os.fsencode(entry.name)):
            path = os.path.join(folder, entry.name)
            if _is_hidden(entry.name):
                unread[_HIDDEN] += 1
            else:
                images.append(path)
                numbers.append(count)
                # Of a link that leads nowhere the decoder's own words are better.
                if not entry.is_file() and os.path.exists(path):
                    not_regular.append(path)
            count += 1
    for entry in _entries(dataset_path):
        if _is_hidden(entry.name) and entry.is_dir():
            unread[_HIDDEN] += _count_images(entry.path)
        elif is_image_name(entry.name) and not entry.is_dir():
            unread[_BESIDE] += 1
    return Listing(found, numbers, tuple(not_regular), +unread)


def find_images(folder: Path) -> list[Path]:
    """List the files below a folder that are images by their suffix, in any case.

    Args:
        folder: Where to start. Hidden files and folders are passed over, a linked folder is visited once.

    Returns:
        The files, sorted; .gif files and the like too, as people expect them to count.

    Raises:
        OSError: If a folder cannot be read.
    """
    paths = []
    for parent, files in _walk(folder):
        paths += [Path(parent, name) for name in files if not _is_hidden(name)]
    return sorted(path for path in paths if path.suffix.lower() in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == _ARCHIVE_REMAINS


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ValueError(f"cannot read the class folder {folder}: {error.strerror}") from error


def _count_images(folder: str) -> int:
    """Return the number of images below a folder, hidden ones too."""
    try:
        return sum(is_image_name(name) for _, files in _walk(folder, hidden=True) for name in files)
    except OSError as error:
        raise ValueError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def _walk(folder: str | Path, hidden: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield folders and the names of their files; a linked folder once, a hidden one on request."""
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(parent)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if hidden or not _is_hidden(name))
        yield parent, files


def _raise(error: OSError) -> NoReturn:
    raise error
