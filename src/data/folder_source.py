"""Images in files, of class folders or of a list, as a source of the input pipeline."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import mindspore.dataset as ds

from src.common.files import printable
from src.common.regular_file import NOT_REGULAR, read_regular
from src.data.encoded_image import EncodedImage
from src.data.file_reader import FileReader, RecentReads
from src.data.image_folders import IMAGE_SUFFIXES, SUFFIX_FORMS
from src.data.image_limits import RECIPE_LIMITS, ImageLimits
from src.data.listing import Listing, list_images
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
    """An ImageSource of image files, which are listed once: a run reads what was there when it began.

    Args:
        path: Folder of the class folders, or file of the list.
        listing: What they hold.
        reads: Notes what is read by path.
    """

    path: str
    listing: Listing
    reads: RecentReads = field(default_factory=RecentReads, compare=False)

    @property
    def class_names(self) -> list[str]:
        """The names of the class folders, sorted."""
        return list(self.listing.images)

    @property
    def is_numbered(self) -> bool:
        """Whether the names of the classes are labels."""
        return self.listing.is_numbered

    @property
    def is_jpeg(self) -> bool:
        """Whether the name of the first image is that of a JPEG."""
        return next(iter(self.listing.paths), "").lower().endswith((".jpg", ".jpeg", ".jfif"))

    def counts(self, excluded: Collection[str] = ()) -> dict[str, int]:
        """Count the images of every class by their suffix."""
        left_out = frozenset(excluded)
        images_by_name = self.listing.images
        return {name: len(images) - len(left_out.intersection(images)) for name, images in images_by_name.items()}

    def image_files(self) -> list[str]:
        """Return the paths of the images, in the order of their numbers."""
        return list(self.listing.paths)

    def name_of(self, path: str) -> str:
        """Return the name of an image in the data set: its path below the folder, that of the list if there is one."""
        return self.listing.name_of(path)

    def unread(self) -> Counter[str]:
        """Count the files that are not read by their suffix or place."""
        return self.listing.unread

    def check_regular(self, excluded: Collection[str] = ()) -> None:
        """Raise ValueError if an image that is not excluded is no regular file."""
        left_out = frozenset(excluded)
        for path in self.listing.not_regular:
            if path not in left_out:
                raise ValueError(self._describe(path, NOT_REGULAR))

    def digest(self, excluded: Collection[str] = ()) -> str:
        """Return the SHA-256 of the images' names, relative to the folder and in one form of Unicode."""
        left_out = frozenset(excluded)
        digest = hashlib.sha256()
        for images in self.listing.images.values():
            names = [self.name_of(path) for path in images if path not in left_out]
            digest.update(os.fsencode(same_name("".join(f"{name}\0" for name in names))))
            if self.listing.is_list:
                digest.update(b"\0")  # names of folders tell where a class ends
        return f"{'list' if self.listing.is_list else 'folders'}:{digest.hexdigest()}"

    def read(self, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
        """Read single images."""
        paths = self._kept(excluded)
        return [EncodedImage(paths[number], read_regular(paths[number])) for number in numbers]

    def open(self, share: Share, do_train: bool, workers: int, excluded: Collection[str] = ()) -> ds.Dataset:
        """Return one rank's images."""
        self.check_regular(excluded)
        if self.listing.by_path:
            return self._open_by_path(share, do_train, workers, excluded)
        current = self._current()
        by_number = (
            excluded or current.paths != self.listing.paths or current.has_hidden or share.needs_numbers(do_train)
        )
        return ds.ImageFolderDataset(
            self.path,
            num_parallel_workers=workers,
            extensions=list(SUFFIX_FORMS),
            class_indexing={name: label for label, name in enumerate(self.class_names)},
            **share.sampling(self.path, do_train, self._numbers(current, excluded) if by_number else None),
        )

    def _open_by_path(self, share: Share, do_train: bool, workers: int, excluded: Collection[str]) -> ds.Dataset:
        """Return one rank's images where MindSpore's own reader would take others."""
        left_out = frozenset(self._check_excluded(excluded))
        kept = [
            (path, label)
            for label, images in enumerate(self.listing.images.values())
            for path in images
            if path not in left_out
        ]
        numbers = range(len(kept)) if share.needs_numbers(do_train) else None
        return ds.GeneratorDataset(
            FileReader(kept, self.reads),
            ["image", "label"],
            num_parallel_workers=workers,
            python_multiprocessing=False,
            **share.sampling(self.path, do_train, numbers),
        )

    def _current(self) -> Listing:
        """Return what the folders hold now, as MindSpore lists them anew; the images of the beginning must be there."""
        if self.listing.is_current():
            return self.listing
        current = list_images(self.path, self.class_names)
        missing = set(self.listing.paths).difference(current.paths)
        if missing:
            raise ValueError(
                f"{printable(min(missing))} was there when this run began and is no longer: put it back or start again"
            )
        return current

    def _numbers(self, current: Listing, excluded: Collection[str]) -> list[int]:
        """Return MindSpore's numbers of the images that are not left out."""
        numbers = dict(zip(current.paths, current.numbers, strict=True))
        return [numbers[path] for path in self._kept(excluded)]

    def _kept(self, excluded: Collection[str]) -> list[str]:
        left_out = frozenset(self._check_excluded(excluded))
        return [path for path in self.listing.paths if path not in left_out]

    def _check_excluded(self, excluded: Collection[str]) -> Collection[str]:
        unknown = set(excluded).difference(self.listing.paths) if excluded else ()
        if unknown:
            raise ValueError(f"{min(unknown)}, to be left out, is no image of {self.path}: has the folder changed?")
        return excluded

    def explain(self, error: RuntimeError, limits: ImageLimits = RECIPE_LIMITS) -> str | None:
        """Name the image that MindSpore could not read."""
        if self.listing.by_path:
            bad = self.reads.first_bad(limits)
            if bad is None:
                return None
            return self._describe(*bad) if os.path.lexists(bad[0]) else self._describe_loss(bad[0])
        found = _BAD_FILE.search(str(error))
        if not found:
            return None
        loss = None if found[2] else self._describe_loss(found[1])
        if loss:
            return loss
        reason = found[2] or "the file cannot be opened"
        if reason.startswith(_EMPTY):
            behind = _RAISED.search(str(error), found.end())
            reason = reason.removeprefix(_EMPTY).strip() or (behind and (behind[1] or behind[2])) or "no reason given"
        return self._describe(found[1], reason.removeprefix("[Internal ERROR] ").rstrip("."))

    def _describe_loss(self, path: str) -> str | None:
        places = [self.path] if self.listing.is_list else [os.path.join(self.path, name) for name in self.class_names]
        loss = describe_loss(path, self.path, places)
        return loss and f"cannot read image {printable(path)}: {loss}"

    def _describe(self, path: str, reason: str) -> str:
        return (
            f"cannot read image {printable(path)}: {reason}; "
            f"`python tools/check_dataset.py {self.path}` lists every bad image, --bad_images=skip leaves them out"
        )
