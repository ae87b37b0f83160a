"""What a data set of class folders holds, found out once: its images, their numbers, and what is not read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from src.common.counted import counted
from src.common.files import printable
from src.data.image_folders import SUFFIX_FORMS, class_names, is_hidden, is_image_name, walk

IN_FOLDERS = "in sub-folders"
_HIDDEN = "hidden"
_BESIDE = "beside the class folders"
_KINDS = 5  # of files that are not read
_LARGE_SHARE = 0.1


@dataclass(frozen=True)
class Listing:
    """What image folders hold, by names alone.

    Args:
        root: Folder of the class folders, or the one of a list.
        images: Paths of the images, the folder in front, by class name; both sorted, the order of the numbers.
        numbers: MindSpore's number of each of them, class after class: it counts hidden files too. Of no use if
            by_path.
        not_regular: Those that are folders, pipes or devices, or lead to one.
        unread: Number of the other files by what keeps them from being read.
        changed: When each folder that may hold images was last changed, in nanoseconds.
        by_path: Whether MindSpore's own reader would take others: these are a part of a folder, or in sub-folders.
        is_list: Whether a list names the images.
        is_numbered: Whether the names of the classes are the labels of a list.
    """

    root: str
    images: Mapping[str, list[str]]
    numbers: Sequence[int]
    not_regular: tuple[str, ...]
    unread: Counter[str]
    changed: Mapping[str, int]
    by_path: bool = False
    is_list: bool = False
    is_numbered: bool = False

    @property
    def has_hidden(self) -> bool:
        """Whether MindSpore would read or count more than the images."""
        return bool(self.unread[_HIDDEN])

    @cached_property
    def paths(self) -> Sequence[str]:
        """The images of all classes, in the order of the labels."""
        return [path for images in self.images.values() for path in images]

    def name_of(self, path: str) -> str:
        """Return the name of an image in the data set: its path below the root."""
        return path.removeprefix(os.path.join(self.root, "")).lstrip("/")

    def part(self, images: Mapping[str, list[str]], unread: Counter[str]) -> Listing:
        """Return some of the images, those that are given by class, and what of the folder is told with them."""
        paths = {path for each in images.values() for path in each}
        not_regular = tuple(path for path in self.not_regular if path in paths)
        return replace(self, images=images, numbers=(), not_regular=not_regular, unread=unread, by_path=True)

    def is_current(self) -> bool:
        """Tell whether no file has come, gone or been renamed since, by the folders alone."""
        try:
            return all(os.stat(folder).st_mtime_ns == changed for folder, changed in self.changed.items())
        except OSError:
            return False


def list_images(dataset_path: str, names: Sequence[str] | None = None, recursive: bool = False) -> Listing:
    """List what the class folders of a data set hold; no file is opened.

    Args:
        dataset_path: Folder of the class folders.
        names: Names of the class folders, sorted; None takes all that are there.
        recursive: Whether images in sub-folders of the class folders count. A linked folder is visited once a class.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read.
    """
    names = class_names(dataset_path) if names is None else names
    found: dict[str, list[str]] = {}
    unread: Counter[str] = Counter()
    not_regular: list[str] = []
    numbers: list[int] = []
    changed: dict[str, int] = {}
    count, nested = 0, False
    for name in names:
        folder = os.path.join(dataset_path, name)
        named, others = _divide(folder, changed)
        images = found[name] = []
        for entry in sorted(named, key=lambda entry: os.fsencode(entry.name)):
            path = os.path.join(folder, entry.name)
            if is_hidden(entry.name):
                unread[_HIDDEN] += 1
            else:
                images.append(path)
                numbers.append(count)
                # Of a link that leads nowhere the decoder's own words are better.
                if not entry.is_file() and os.path.exists(path):
                    not_regular.append(path)
            count += 1
        for entry in others:
            if entry.is_dir():
                unread[IN_FOLDERS] += 0 if recursive else _count_images(entry.path)
            elif not is_hidden(entry.name):
                unread[_suffix(entry.name)] += 1
        if recursive and any(entry.is_dir() for entry in others):
            below = _list_below(folder, unread, not_regular, changed)
            nested = nested or bool(below)
            images[:] = sorted([*images, *below], key=os.fsencode)
    for entry in _entries(dataset_path):
        if is_hidden(entry.name) and entry.is_dir():
            unread[_HIDDEN] += _count_images(entry.path)
        elif is_image_name(entry.name) and not entry.is_dir():
            unread[_BESIDE] += 1
    return Listing(dataset_path, found, numbers, tuple(not_regular), +unread, changed=changed, by_path=nested)


def describe_images(path: str, counts: Mapping[str, int], unread: Counter[str]) -> list[str]:
    """Return what a person should know of a data set before it is used: how much there is, and what is not read.

    Args:
        path: Its folder.
        counts: Number of images by class.
        unread: Number of the other files, by what keeps them from being read.
    """
    count = sum(counts.values())
    line = f"{count:,} images in {len(counts):,} classes of {printable(path)}"
    if unread:
        kinds = unread.most_common(_KINDS)
        rest = unread.total() - sum(number for _, number in kinds)
        kinds += [("others", rest)] if rest else []
        line += "; not read: " + ", ".join(f"{number:,} {printable(what)}" for what, number in kinds)
    lines = [line]
    if unread.total() > _LARGE_SHARE * count:
        hint = "; --recursive reads those in sub-folders" if unread[IN_FOLDERS] else ""
        are = "is" if unread.total() == 1 else "are"
        lines.append(f"warning: {counted(unread.total(), 'file')} of {printable(path)} {are} not read{hint}")
    return lines


def _divide(folder: str, changed: dict[str, int]) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """Return what has the name of an image in a class folder, and what has not; note when it was last changed."""
    named: list[os.DirEntry[str]] = []
    others: list[os.DirEntry[str]] = []
    try:
        changed[folder] = os.stat(folder).st_mtime_ns  # before it is read
    except OSError as error:
        raise ValueError(f"cannot read the class folder {folder}: {error.strerror}") from error
    for entry in _entries(folder):
        (named if entry.name.endswith(SUFFIX_FORMS) else others).append(entry)
    return named, others


def _list_below(folder: str, unread: Counter[str], not_regular: list[str], changed: dict[str, int]) -> list[str]:
    """Return the images in the sub-folders of a class folder, and note the other files."""
    images = []
    try:
        for parent, files in walk(folder, hidden=True):
            if parent == folder:
                continue
            hidden = any(map(is_hidden, os.path.relpath(parent, folder).split(os.sep)))
            changed[parent] = os.stat(parent).st_mtime_ns
            for name in files:
                path = os.path.join(parent, name)
                if hidden or is_hidden(name):
                    unread[_HIDDEN] += is_image_name(name)
                elif is_image_name(name):
                    images.append(path)
                    if not os.path.isfile(path) and os.path.exists(path):
                        not_regular.append(path)
                else:
                    unread[_suffix(name)] += 1
    except OSError as error:
        raise ValueError(f"cannot read the folder {error.filename}: {error.strerror}") from error
    return images


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ValueError(f"cannot read the class folder {folder}: {error.strerror}") from error


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "without a suffix"


def _count_images(folder: str) -> int:
    """Return the number of images below a folder, hidden ones too."""
    try:
        return sum(is_image_name(name) for _, files in walk(folder, hidden=True) for name in files)
    except OSError as error:
        raise ValueError(f"cannot read the folder {error.filename}: {error.strerror}") from error
