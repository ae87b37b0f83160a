"""One MindRecord file of a data set: written whole or not at all, and read back."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.files import replace_file, temporary_path
from src.data.record_set import INDEX_SUFFIX
from tools.data_formats.stored_image import StoredImage

MAX_IMAGE_BYTES = 240 * 2**20  # MindSpore's largest page holds 256 MiB

_SCHEMA: dict[str, Any] = {
    "image": {"type": "bytes"},
    "name": {"type": "bytes"},  # a file name may hold any byte but two
    "label": {"type": "int32"},
    "crc32": {"type": "int64"},
}
_HEADER_BYTES = 2**20  # room for the descriptions of all pages
_PAGE_BYTES = 2**22
_RECORD_BYTES = 512  # of one record beside the image: its other fields and its line of the index
_ROWS = 64  # images that are handed over at a time


@dataclass(frozen=True)
class Shard:
    """A part of a data set, and the file that it becomes.

    Args:
        path: The MindRecord file; its index is named the same with `.db` behind it.
        images: The images, at least one.
        labels: Their labels.
    """

    path: str
    images: tuple[StoredImage, ...]
    labels: tuple[int, ...]

    def files(self) -> tuple[str, str]:
        """Return the paths of the index and of the records; the shard is there when the second one is."""
        return self.path + INDEX_SUFFIX, self.path

    def page_bytes(self) -> int:
        """Return the size of MindRecord's pages: a power of two that holds the largest image."""
        page = _PAGE_BYTES
        while page < max(image.size for image in self.images) * 17 // 16 + 2**16:
            page *= 2
        return page

    def expected_bytes(self) -> int:
        """Return about how much room the files take, rather too much than too little."""
        images = sum(image.size + _RECORD_BYTES for image in self.images)
        return images * 17 // 16 + _HEADER_BYTES + 2 * self.page_bytes()


@dataclass(frozen=True)
class Content:
    """What a shard's file really holds.

    Args:
        counts: Number of images by label.
        missing: Names of the images of the shard that are not there.
    """

    counts: Mapping[int, int]
    missing: tuple[str, ...]


class OtherImages(ValueError):
    """A file holds readable records of other images than expected."""


def write_shard(shard: Shard, left_out: frozenset[StoredImage]) -> Content:
    """Write a shard, read it back, and only then give it its name.

    Args:
        shard: What to write; some image of it is not left out.
        left_out: Images that are passed over.

    Returns:
        What was read back.

    Raises:
        ValueError: If an image has changed, MindSpore cannot write, or what is read back is not what was written.
        OSError: If an image cannot be read or a file cannot be written.
    """
    final = Path(shard.path)
    folder = temporary_path(final)
    # The name stays the same, as MindSpore keeps it inside the file.
    written = Shard(str(folder / final.name), shard.images, shard.labels)
    folder.mkdir(parents=True)
    try:
        _write(written, left_out)
        content = read_shard(written)
        if content.missing != tuple(image.name for image in shard.images if image in left_out):
            raise ValueError(f"{final} does not hold what was written to it: is the disk damaged?")
        for temporary, name in zip(written.files(), shard.files(), strict=True):
            os.chmod(temporary, _usual_mode())  # MindSpore shuts everyone else out
            replace_file(temporary, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return content


def read_shard(shard: Shard) -> Content:
    """Read a shard's file and compare it with what should be there.

    Args:
        shard: The shard; images that were left out may be missing.

    Returns:
        What is there.

    Raises:
        OtherImages: If it holds other images, or the same with other labels.
        ValueError: If it cannot be read, or an image is not what was written.
    """
    expected = zip(shard.images, shard.labels, strict=True)
    counts: dict[int, int] = {}
    missing = []
    for row in _rows(shard.path):
        name = os.fsdecode(row["name"])
        if zlib.crc32(row["image"]) != row["crc32"]:
            raise ValueError(f"{shard.path} is damaged: the image {name} is not what was written")
        for image, label in expected:
            if (image.name, image.size, label) == (name, len(row["image"]), row["label"]):
                break
            missing.append(image.name)
        else:
            raise OtherImages(f"{shard.path} holds {name}, which does not belong there")
        counts[label] = counts.get(label, 0) + 1
    missing += [image.name for image, _ in expected]
    return Content(counts, tuple(missing))


def _write(shard: Shard, left_out: frozenset[StoredImage]) -> None:
    """Write the files of a shard where it says."""
    from mindspore.mindrecord import FileWriter

    rows = [row for row in zip(shard.images, shard.labels, strict=True) if row[0] not in left_out]
    try:
        writer = FileWriter(shard.path)
        writer.set_header_size(_HEADER_BYTES)
        writer.set_page_size(shard.page_bytes())
        writer.add_schema(_SCHEMA)
        writer.add_index(["label"])
        for start in range(0, len(rows), _ROWS):
            writer.write_raw_data([_row(image, label) for image, label in rows[start : start + _ROWS]])
        writer.commit()
    except RuntimeError as error:
        raise ValueError(f"MindSpore cannot write {shard.path}: {_first_line(error)}") from error


def _usual_mode() -> int:
    """Return the permissions of a new file of this person."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _row(image: StoredImage, label: int) -> dict[str, object]:
    data = image.read()
    return {"image": data, "name": os.fsencode(image.name), "label": label, "crc32": zlib.crc32(data)}


def _rows(path: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file in their order."""
    from mindspore.mindrecord import FileReader

    try:
        reader = FileReader([path], 1)
        try:
            yield from reader.get_next()
        finally:
            reader.close()
    except RuntimeError as error:
        raise ValueError(f"MindSpore cannot read {path}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
