"""Images in MindRecord files as a source of the input pipeline."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import mindspore.dataset as ds
from mindspore.mindrecord import FileReader

from src.common.files import printable
from src.data.encoded_image import EncodedImage
from src.data.image_limits import RECIPE_LIMITS, ImageLimits
from src.data.jpeg_decoder import JPEG_START
from src.data.lost_data import describe_loss
from src.data.record_set import RECORD_SUFFIX, RecordSet
from src.data.share import Share


@dataclass(frozen=True)
class RecordSource:
    """An ImageSource of MindRecord files, whose images cannot be left out one by one.

    Args:
        path: Folder of the files.
        records: What they hold.
    """

    path: str
    records: RecordSet

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, by label."""
        return self.records.class_names

    @property
    def is_numbered(self) -> bool:
        """Return False: the classes of records have names."""
        return False

    @property
    def is_jpeg(self) -> bool:
        """Whether the first image is a JPEG; not if it cannot be read."""
        try:
            reader = FileReader(self._files[0], 1)
            try:
                return any(bytes(row["image"]).startswith(JPEG_START) for row in islice(reader.get_next(), 1))
            finally:
                reader.close()
        except RuntimeError:
            return False

    def counts(self, excluded: Collection[str] = ()) -> dict[str, int]:
        """Return the number of images by class name."""
        self._check_none_excluded(excluded)
        return dict(self.records.counts)

    def image_files(self) -> None:
        """Return None: the images are in no files of their own."""

    def name_of(self, path: str) -> str:
        """Return the path: there is none of an image."""
        return path

    def unread(self) -> Counter[str]:
        """Return nothing: there are no other files."""
        return Counter()

    def check_regular(self, excluded: Collection[str] = ()) -> None:
        """Do nothing: there are no files of the images."""

    def digest(self, excluded: Collection[str] = ()) -> str:
        """Return the SHA-256 of the counts, the sizes of the files and the names of what was left out."""
        self._check_none_excluded(excluded)
        return f"mindrecord:{hashlib.sha256(self.records.to_json().encode()).hexdigest()}"

    def read(self, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
        """Read single images."""
        self._check_none_excluded(excluded)
        if not numbers:
            return []
        rows = ds.MindDataset(
            self._files, columns_list=["image", "name"], sampler=ds.SubsetSampler(list(numbers))
        ).create_dict_iterator(num_epochs=1, output_numpy=True)
        return [EncodedImage(os.fsdecode(row["name"].tobytes()), row["image"].tobytes()) for row in rows]

    def open(self, share: Share, do_train: bool, workers: int, excluded: Collection[str] = ()) -> ds.Dataset:
        """Return one rank's images."""
        self._check_none_excluded(excluded)
        kept = range(self.records.images) if share.needs_numbers(do_train) else None
        return ds.MindDataset(
            self._files,
            columns_list=["image", "label"],
            num_parallel_workers=workers,
            **share.sampling(self.path, do_train, kept),
        )

    def explain(self, error: RuntimeError, limits: ImageLimits = RECIPE_LIMITS) -> str | None:
        """Tell how the files are mended if MindSpore could not read one."""
        if RECORD_SUFFIX not in str(error):
            return None
        missing = next((file for file in self._files if not os.path.lexists(file)), None)
        if missing and (loss := describe_loss(missing, self.path, self._files)):
            return f"cannot read {printable(missing)}: {loss}"
        # MindSpore may name another file than the damaged one.
        return (
            f"cannot read the MindRecord files in {self.path}: `python tools/make_mindrecord.py DATA {self.path}`, "
            "with the images they were made from, finds the damaged one and makes it again"
        )

    @property
    def _files(self) -> list[str]:
        return self.records.record_files(self.path)

    def _check_none_excluded(self, excluded: Collection[str]) -> None:
        if excluded:
            raise ValueError(f"{min(excluded)} cannot be left out of {self.path}: its MindRecord files have no paths")
