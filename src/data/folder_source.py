"""Images in folders, one folder a class, as a source of the input pipeline."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore.dataset as ds

from src.data.encoded_image import EncodedImage
from src.data.image_folders import SUFFIX_FORMS, image_names, list_images
from src.data.share import Share
from src.metadata.class_list import same_name

# What MindSpore says of a file, and why. The path ends with its suffix, as ". " may stand inside it.
_BAD_FILE = re.compile(
    r"(?:data file is|Failed to open file|Invalid file found): "
    rf"(.+(?:{'|'.join(map(re.escape, SUFFIX_FORMS))}))(?:[.,] (.*?)(?: Dump the abnormal.*)?)?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class FolderSource:
    """An ImageSource of image folders.

    Args:
        path: Folder of the class folders.
        class_names: Names of the class folders, sorted.
    """

    path: str
    class_names: list[str]

    @property
    def is_jpeg(self) -> bool:
        """Whether the name of the first image is that of a JPEG."""
        folders = (os.path.join(self.path, name) for name in self.class_names)
        first = next((name for folder in folders for name in image_names(folder)), "")
        return first.lower().endswith((".jpg", ".jpeg"))

    def counts(self, excluded: Collection[str] = ()) -> dict[str, int]:
        """Count the images of every class by their suffix."""
        left_out = frozenset(excluded)
        listed = list_images(self.path, self.class_names)
        return {name: len(images) - len(left_out.intersection(images)) for name, images in listed.items()}

    def image_files(self) -> list[str]:
        """Return the paths of the images, in the order of MindSpore's numbers."""
        return [path for images in list_images(self.path, self.class_names).values() for path in images]

    def digest(self, excluded: Collection[str] = ()) -> str:
        """Return the SHA-256 of the images' names, relative to the folder and in one form of Unicode."""
        left_out = frozenset(excluded)
        digest = hashlib.sha256()
        for images in list_images(self.path, self.class_names).values():
            names = [path[len(self.path) :].lstrip("/") for path in images if path not in left_out]
            digest.update(os.fsencode(same_name("".join(f"{name}\0" for name in names))))
        return f"folders:{digest.hexdigest()}"

    def read(self, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
        """Read single images."""
        left_out = frozenset(excluded)
        paths = [path for path in self.image_files() if path not in left_out]
        return [EncodedImage(paths[number], Path(paths[number]).read_bytes()) for number in numbers]

    def open(self, share: Share, do_train: bool, workers: int, excluded: Collection[str] = ()) -> ds.Dataset:
        """Return one rank's images."""
        by_number = excluded or share.needs_numbers(do_train)
        return ds.ImageFolderDataset(
            self.path,
            num_parallel_workers=workers,
            extensions=list(SUFFIX_FORMS),
            class_indexing={name: label for label, name in enumerate(self.class_names)},
            **share.sampling(self.path, do_train, self._kept_images(excluded) if by_number else None),
        )

    def _kept_images(self, excluded: Collection[str]) -> list[int]:
        """Return MindSpore's numbers of the images that are not excluded."""
        paths = self.image_files()
        left_out = frozenset(excluded)
        unknown = left_out.difference(paths)
        if unknown:
            raise ValueError(f"{min(unknown)}, to be left out, is no image of {self.path}: has the folder changed?")
        return [number for number, path in enumerate(paths) if path not in left_out]

    def explain(self, error: RuntimeError) -> str | None:
        """Name the image that MindSpore could not read."""
        found = _BAD_FILE.search(str(error))
        if not found:
            return None
        reason = (found[2] or "the file cannot be opened").removeprefix("[Internal ERROR] ").rstrip(".")
        return (
            f"cannot read image {found[1]}: {reason}; "
            f"`python tools/check_dataset.py {self.path}` lists every bad image, --bad_images=skip leaves them out"
        )
