"""An encoded image where it is stored: a file, or a part of a tar file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from src.common.regular_file import read_regular
from src.data.image_check import check_content
from src.data.image_limits import ImageLimits
from src.data.image_list import list_data
from src.data.listing import describe_images


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
            ValueError: If it has become shorter, or is no regular file.
        """
        data = read_regular(self.path, self.offset, self.size)
        if len(data) < self.size:
            raise ValueError(f"{self.path} ends within {self.name}: it has changed, or is only a part of a file")
        return data


ImagesByClass: TypeAlias = Mapping[str, Sequence[StoredImage]]  # in the order of the labels


def images_of_folders(dataset_path: str, recursive: bool = False) -> ImagesByClass:
    """Return the images of image folders, in the order in which training numbers them, and say how many there are.

    Args:
        dataset_path: Folder of the class folders, or file of a list of images.
        recursive: Whether images in sub-folders of these count.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read.
        OSError: If an image cannot be found.
    """
    listing = list_data(dataset_path, recursive)
    counts = {name: len(paths) for name, paths in listing.images.items()}
    print("\n".join(describe_images(dataset_path, counts, listing.unread)), flush=True)
    return {
        name: [
            StoredImage(path, 0, os.stat(path).st_size, os.path.relpath(path, listing.root or ".")) for path in paths
        ]
        for name, paths in listing.images.items()
    }


def check_stored_image(image: StoredImage, limits: ImageLimits) -> str:
    """Return why an image is of no use for training, or an empty text for a good one."""
    try:
        return check_content(image.read(), limits)
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
