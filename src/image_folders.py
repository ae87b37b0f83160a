"""Image folders, one folder a class: what counts as an image and which label a class has."""

from __future__ import annotations

import os

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def class_names(dataset_path: str) -> list[str]:
    """Return the names of the class folders, sorted; hidden folders are passed over.

    Args:
        dataset_path: Folder of the class folders.

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
