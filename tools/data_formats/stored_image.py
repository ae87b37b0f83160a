"""An encoded image where it is stored: a file, or a part of a tar file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from src.data.image_check import check_content
from src.data.image_folders import list_images


@dataclass(frozen=True, order=True, slots=True)  # there are a million of them
class StoredImage:
    """An encoded image.

    Args:
        path: The file that holds it.
        offset: Where it begins there, in bytes.
        size: Its length in bytes.
        name: Its name in the data set, <class>/<file name>.
    """

    path: str
    offset: int
    size: int
    name: str

    def read(self) -> bytes:
        """Return the image as it is stored.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it has become shorter.
        """
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise ValueError(f"{self.path} ends within {self.name}: it has changed, or is only a part of a file")
        return data


ImagesByClass: TypeAlias = Mapping[str, Sequence[StoredImage]]  # in the order of the labels


def images_of_folders(dataset_path: str) -> ImagesByClass:
    """Return the images of image folders, in the order in which training numbers them.

    Args:
        dataset_path: Folder of the class folders.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read or holds a hidden
            image.
        OSError: If an image cannot be found.
    """
    return {
        name: [StoredImage(path, 0, os.stat(path).st_size, os.path.relpath(path, dataset_path)) for path in paths]
        for name, paths in list_images(dataset_path).items()
    }


def check_stored_image(image: StoredImage) -> str:
    """Return why an image is of no use for training, or an empty text for a good one."""
    try:
        return check_content(io.BytesIO(image.read()))
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
