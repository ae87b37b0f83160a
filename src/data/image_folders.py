"""Image folders, one folder a class: what counts as an image, which label a class has, in which order images come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NoReturn

from src.metadata.class_list import check_name

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")  # in any letter case
UNREAD_SUFFIXES = (".gif", ".heic", ".heif", ".avif")  # images to people, and none to training
# MindSpore compares suffixes to the letter.
SUFFIX_FORMS = tuple(
    "".join(letters) for suffix in IMAGE_SUFFIXES for letters in product(*({c, c.upper()} for c in suffix))
)
_TRAINING, _HELD_OUT = "train", ("val", "valid", "validation", "test")  # names of parts; the first there is evaluated
_ARCHIVE_REMAINS = "__MACOSX"  # holds what macOS adds to a zip file


def is_image_name(name: str) -> bool:
    """Tell whether a file is an image by its suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def class_names(dataset_path: str) -> list[str]:
    """Return the names of the class folders, sorted.

    Args:
        dataset_path: Folder of the class folders, of which hidden ones are passed over.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one has a name that no class can have; or if
            they are the parts of a data set, with class folders inside.
    """
    try:
        with os.scandir(dataset_path or "") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))
    except OSError as error:
        name = dataset_path or "(none given)"
        raise ValueError(f"cannot read the data set folder {name}: {error.strerror}; check the path") from error
    if not names:
        raise ValueError(
            f"no class folders in {dataset_path}: it needs one folder a class with the images inside; or "
            "give a list of images, a CSV file of path,class"
        )
    _check_level(dataset_path, names)
    for name in names:
        check_name(name, os.path.join(dataset_path, name))
    return names


def _check_level(dataset_path: str, names: Sequence[str]) -> None:
    """Raise if the folders are parts of a data set such as train and val: they hold classes, and no images."""
    if not (_TRAINING in names and len(names) > 1 and {*names} <= {_TRAINING, *_HELD_OUT}):
        return
    for name in names:
        try:
            with os.scandir(os.path.join(dataset_path, name)) as entries:
                found = [entry for entry in entries if not is_hidden(entry.name)]
        except OSError:
            return
        if any(is_image_name(entry.name) for entry in found) or not any(entry.is_dir() for entry in found):
            return
    held_out = next(name for name in _HELD_OUT if name in names)
    raise ValueError(
        f"{dataset_path} holds {' and '.join(names)}, which are parts of a data set with the class folders inside, and "
        f"no classes: give {os.path.join(dataset_path, _TRAINING)} to train on (--train_data_dir) and "
        f"{os.path.join(dataset_path, held_out)} to evaluate (--test_data_dir)"
    )


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
    for parent, files in walk(folder):
        paths += [Path(parent, name) for name in files if not is_hidden(name)]
    return sorted(path for path in paths if path.suffix.lower() in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))


def in_sub_folders(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """Return the images below a data set, or several beside one another, that training reads with `recursive` only.

    Args:
        folder: The data set, or the folder of data sets such as train and val: where class folders of the first kind
            hold no image, it is of the second.
        paths: The images below it.
    """
    depths = [len(path.relative_to(folder).parts) for path in paths]
    level = min((depth for depth in depths if depth > 1), default=1)
    return [path for path, depth in zip(paths, depths, strict=True) if depth > level]


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is none of a person's by its name."""
    return name.startswith(".") or name == _ARCHIVE_REMAINS


def walk(folder: str | Path, hidden: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield folders and the names of their files; a linked folder once, a hidden one on request."""
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(parent)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if hidden or not is_hidden(name))
        yield parent, files


def _raise(error: OSError) -> NoReturn:
    raise error
