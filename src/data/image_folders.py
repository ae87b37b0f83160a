"""Image folders, one folder a class: what counts as an image, which label a class has, in which order images come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
UNREAD_SUFFIXES = (".gif", ".webp")  # images to people, and none to training
# MindSpore compares suffixes to the letter; ImageNet's files end in .JPEG.
SUFFIX_FORMS = tuple(form for suffix in IMAGE_SUFFIXES for form in (suffix, suffix.upper(), f".{suffix[1:].title()}"))


def class_names(dataset_path: str) -> list[str]:
    """Return the names of the class folders, sorted.

    Args:
        dataset_path: Folder of the class folders, of which hidden ones are passed over.

    Raises:
        ValueError: If the folder is missing or has no class folders.
    """
    try:
        with os.scandir(dataset_path or "") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        name = dataset_path or "(none given)"
        raise ValueError(f"cannot read the data set folder {name}: {error.strerror}; check the path") from error
    if not names:
        raise ValueError(f"no class folders in {dataset_path}: it needs one folder a class with the images inside")
    return names


def list_images(dataset_path: str, names: Sequence[str] | None = None) -> dict[str, list[str]]:
    """List the images of every class by their suffix, in the order in which MindSpore numbers them.

    Args:
        dataset_path: Folder of the class folders.
        names: Names of the class folders, sorted; None takes all that are there.

    Returns:
        Paths of the images, `dataset_path` in front, by class name; both sorted.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read or holds a hidden
            image.
    """
    names = class_names(dataset_path) if names is None else names
    folders = {name: os.path.join(dataset_path, name) for name in names}
    return {name: [os.path.join(folder, image) for image in image_names(folder)] for name, folder in folders.items()}


def image_names(folder: str) -> list[str]:
    """Return the names of the images in one folder, in MindSpore's order, that of their bytes.

    Args:
        folder: The folder; those inside are passed over.

    Raises:
        ValueError: If the folder cannot be read or holds a hidden image.
    """
    try:
        names = [name for name in os.listdir(folder) if name.endswith(SUFFIX_FORMS)]
    except OSError as error:
        raise ValueError(f"cannot read the class folder {folder}: {error.strerror}") from error
    hidden = min((name for name in names if name.startswith(".")), default="")
    if hidden:
        # MindSpore would train on it; macOS's "._" files are no images at all.
        raise ValueError(f"{os.path.join(folder, hidden)} is hidden, yet training would read it: remove or rename it")
    return sorted(names, key=os.fsencode)


def check_hidden_folders(dataset_path: str) -> None:
    """Raise ValueError if a hidden folder beside the class folders holds images."""
    with os.scandir(dataset_path) as entries:
        hidden = sorted(entry.path for entry in entries if entry.is_dir() and entry.name.startswith("."))
    for path in hidden:
        # MindSpore would count these images without ever delivering them.
        if image_names(path):
            raise ValueError(f"the hidden folder {path} holds images: remove it, or rename it if it is a class")


def find_images(folder: Path) -> list[Path]:
    """List the files below a folder that are images by their suffix, in any case.

    Args:
        folder: Where to start. Hidden files and folders are passed over, a linked folder is visited once.

    Returns:
        The files, sorted; .gif and .webp files too, as people expect them to count.

    Raises:
        OSError: If a folder cannot be read.
    """
    paths = []
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(parent)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(path for path in paths if path.suffix.lower() in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))


def _raise(error: OSError) -> NoReturn:
    raise error
