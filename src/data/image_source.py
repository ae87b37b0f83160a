"""One interface to the images of a data set: whether they are folders or MindRecord files is asked here, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

import mindspore.dataset as ds

from src.common.files import printable
from src.data.encoded_image import EncodedImage
from src.data.folder_source import FolderSource
from src.data.image_limits import RECIPE_LIMITS, ImageLimits
from src.data.image_list import list_data
from src.data.record_set import find_records
from src.data.record_source import RecordSource
from src.data.share import Share


class ImageSource(Protocol):
    """The images of a data set in classes, in whichever form they are stored; numbered in the order of the labels."""

    @property
    def path(self) -> str:
        """The folder that holds all of it."""

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, sorted: the position of a name is the label."""

    @property
    def is_numbered(self) -> bool:
        """Whether the names of the classes are the labels of a list, in the order of the numbers."""

    @property
    def is_jpeg(self) -> bool:
        """Whether the first image is a JPEG, as the others are then too in most data sets."""

    def counts(self, excluded: Collection[str] = ()) -> dict[str, int]:
        """Count the images of every class.

        Args:
            excluded: Images that do not count, of those that image_files names.

        Returns:
            Number of images by class name, in sorted order.

        Raises:
            ValueError: If a class folder cannot be read, or images of records are excluded.
        """

    def image_files(self) -> list[str] | None:
        """Return the paths of the images by number; None if they are in no files of their own: all are used then.

        Raises:
            ValueError: If a class folder cannot be read.
        """

    def name_of(self, path: str) -> str:
        """Return the name in the data set of an image that image_files names, the same on every machine."""

    def unread(self) -> Counter[str]:
        """Return the number of the files that are not read, by what keeps them from it."""

    def check_regular(self, excluded: Collection[str] = ()) -> None:
        """Raise ValueError if an image that is not excluded is no regular file: a pipe would be waited for for ever."""

    def digest(self, excluded: Collection[str] = ()) -> str:
        """Identify the images of a training by what is cheap to know of them: no file of an image is opened.

        Args:
            excluded: Images that do not count, of those that image_files names.

        Returns:
            `folders:` or `list:` and the SHA-256 of the images' names, or `mindrecord:` and that of what the set's own
            file tells.

        Raises:
            ValueError: If a class folder cannot be read, or images of records are excluded.
        """

    def read(self, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
        """Read single images.

        Args:
            numbers: Which ones, from 0 in the order of an evaluation on one rank, each once.
            excluded: Images that the evaluation left out, of those that image_files names.

        Returns:
            The images, in the order of `numbers`.

        Raises:
            ValueError: If a class folder cannot be read.
            OSError: If an image cannot be read.
        """

    def open(self, share: Share, do_train: bool, workers: int, excluded: Collection[str] = ()) -> ds.Dataset:
        """Return one rank's images.

        Args:
            share: The rank.
            do_train: Whether for training, shuffled and the same number on every rank, or for evaluation, in order and
                over all ranks each once.
            workers: Threads that read, 1 or more.
            excluded: Images that are left out and never opened, of those that image_files names.

        Returns:
            A data set with the columns `image`, encoded, and `label`.

        Raises:
            ValueError: If the rank gets no image, or an excluded one is not there.
        """

    def explain(self, error: RuntimeError, limits: ImageLimits = RECIPE_LIMITS) -> str | None:
        """Return what MindSpore's error says of these images, and what to do, in a line; None if it is about others.

        Args:
            error: The error.
            limits: What the images had to keep to.
        """


def open_images(path: str, recursive: bool = False) -> ImageSource:
    """Open a data set of either form: what it holds is found out here, and once.

    Args:
        path: Folder of the class folders, of which hidden ones are passed over, or of tools/make_mindrecord.py; or file
            of a list of images.
        recursive: Whether images in sub-folders of the class folders count.

    Raises:
        ValueError: If the folder is missing or has no class folders, one of them cannot be read, the list does not fit,
            or a part of the MindRecord files is missing.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the name of the folder {printable(path)} is no UTF-8, and MindSpore opens no such folder: rename it, or "
            "give a link with another name"
        ) from error
    records = find_records(path)
    if records:
        return RecordSource(path, records)
    return FolderSource(path, list_data(path, recursive))
