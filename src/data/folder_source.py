"""Images in folders, one folder a class, as a source of the input pipeline."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import mindspore.dataset as ds

from src.common.files import printable
from src.common.regular_file import NOT_REGULAR, read_regular
from src.data.encoded_image import EncodedImage
from src.data.image_folders import IMAGE_SUFFIXES, SUFFIX_FORMS, Listing, list_images
from src.data.lost_data import describe_loss
from src.data.share import Share
from src.metadata.class_list import same_name

# What MindSpore says of a file, and why. The path ends with its suffix, as ". " may stand inside it.
_BAD_FILE = re.compile(
    r"(?:data file is|Failed to open file|Invalid file found): "
    rf"(.+(?i:{'|'.join(map(re.escape, IMAGE_SUFFIXES))}))(?:[.,] (.*?)(?: Dump the abnormal.*)?)?$",
    re.MULTILINE,
)
# What our own operations say comes at the end of a call stack, and MindSpore's words within one behind [ERROR].
_EMPTY = "Error description:"
_RAISED = re.compile(r"^ValueError: (?!Traceback)(.+)|^\[ERROR\] (.+?)(?: Dump the abnormal.*)?$", re.MULTILINE)


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
        return next(iter(self.listing().paths), "").lower().endswith((".jpg", ".jpeg", ".jfif"))

    def listing(self) -> Listing:
        """List the class folders anew."""
        return list_images(self.path, self.class_names)

    def counts(self, excluded: Collection[str] = ()) -> dict[str, int]:
        """Count the images of every class by their suffix."""
        left_out = frozenset(excluded)
        images_by_name = self.listing().images
        return {name: len(images) - len(left_out.intersection(images)) for name, images in images_by_name.items()}

    def image_files(self) -> list[str]:
        """Return the paths of the images, in the order of MindSpore's numbers."""
        return self.listing().paths

    def unread(self) -> Counter[str]:
        """Count the files that are not read by their suffix or place."""
        return self.listing().unread

    def check_regular(self, excluded: Collection[str] = ()) -> None:
        """Raise ValueError if an image that is not excluded is no regular file."""
        self._check_regular(self.listing(), frozenset(excluded))

    def _check_regular(self, listing: Listing, left_out: frozenset[str]) -> None:
        for path in listing.not_regular:
            if path not in left_out:
                raise ValueError(self._describe(path, NOT_REGULAR))

    def digest(self, excluded: Collection[str] = ()) -> str:
        """Return the SHA-256 of the images' names, relative to the folder and in one form of Unicode."""
        left_out = frozenset(excluded)
        digest = hashlib.sha256()
        for images in self.listing().images.values():
            names = [path[len(self.path) :].lstrip("/") for path in images if path not in left_out]
            digest.update(os.fsencode(same_name("".join(f"{name}\0" for name in names))))
        return f"folders:{digest.hexdigest()}"

    def read(self, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
        """Read single images."""
        left_out = frozenset(excluded)
        paths = [path for path in self.image_files() if path not in left_out]
        return [EncodedImage(paths[number], read_regular(paths[number])) for number in numbers]

    def open(self, share: Share, do_train: bool, workers: int, excluded: Collection[str] = ()) -> ds.Dataset:
        """Return one rank's images."""
        listing = self.listing()
        left_out = frozenset(excluded)
        self._check_regular(listing, left_out)
        by_number = excluded or listing.has_hidden or share.needs_numbers(do_train)
        return ds.ImageFolderDataset(
            self.path,
            num_parallel_workers=workers,
            extensions=list(SUFFIX_FORMS),
            class_indexing={name: label for label, name in enumerate(self.class_names)},
            **share.sampling(self.path, do_train, self._kept_images(listing, left_out) if by_number else None),
        )

    def _kept_images(self, listing: Listing, left_out: frozenset[str]) -> list[int]:
        """Return MindSpore's numbers of the images that are not left out."""
        paths = listing.paths
        unknown = left_out.difference(paths)
        if unknown:
            raise ValueError(f"{min(unknown)}, to be left out, is no image of {self.path}: has the folder changed?")
        return [number for number, path in zip(listing.numbers, paths, strict=True) if path not in left_out]

    def explain(self, error: RuntimeError) -> str | None:
        """Name the image that MindSpore could not read."""
        found = _BAD_FILE.search(str(error))
        if not found:
            return None
        folders = [os.path.join(self.path, name) for name in self.class_names]
        loss = None if found[2] else describe_loss(found[1], self.path, folders)
        if loss:
            return f"cannot read image {printable(found[1])}: {loss}"
        reason = found[2] or "the file cannot be opened"
        if reason.startswith(_EMPTY):
            behind = _RAISED.search(str(error), found.end())
            reason = reason.removeprefix(_EMPTY).strip() or (behind and (behind[1] or behind[2])) or "no reason given"
        return self._describe(found[1], reason.removeprefix("[Internal ERROR] ").rstrip("."))

    def _describe(self, path: str, reason: str) -> str:
        return (
            f"cannot read image {printable(path)}: {reason}; "
            f"`python tools/check_dataset.py {self.path}` lists every bad image, --bad_images=skip leaves them out"
        )
