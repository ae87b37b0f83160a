"""What the original ILSVRC2012 tar files hold, found without unpacking them."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from src.common.files import printable
from src.common.progress import Progress
from src.data.image_folders import SUFFIX_FORMS
from tools.data_formats.stored_image import ImagesByClass, StoredImage

CLASSES = 1000
TRAIN_IMAGES = 1_281_167
VAL_IMAGES_PER_CLASS = 50

_SYNSET = re.compile(r"n\d{8}")  # WordNet's number of a noun: the name of a class
_VAL_NAME = re.compile(r"\w+_val_(\d{8})\.\w+")
_MIB = 2**20
_MAX_HEADER_BYTES = 2**16  # of what stands before an entry: a long name, or times to the nanosecond
_DAMAGED = (tarfile.TarError, EOFError, ValueError, IndexError, OverflowError)  # what tarfile raises for such headers


def train_images(tar: Path) -> ImagesByClass:
    """List the training images: a tar file of one tar file a class, named by its synset.

    Args:
        tar: ILSVRC2012_img_train.tar, or a part of it with the same structure.

    Returns:
        The images by synset, both sorted by name.

    Raises:
        ValueError: If the file is no complete tar file of that structure, or an entry is no plain file.
        OSError: If it cannot be read.
    """
    found: dict[str, list[StoredImage]] = {}
    with _open(tar) as outer, _progress(tar) as progress:
        done = 0
        for entry in _plain_files(outer, tar):
            synset = entry.name.removesuffix(".tar")
            if not _SYNSET.fullmatch(synset) or synset == entry.name or synset in found:
                raise ValueError(f"{tar} holds {printable(entry.name)}, which is no class such as n01440764.tar")
            content = outer.extractfile(entry)
            assert content is not None  # a plain file has content
            with content, _open(tar, content) as inner:
                found[synset] = [_stored(tar, entry.offset_data, image, synset) for image in _plain_files(inner, tar)]
            position = (entry.offset_data + entry.size) // _MIB
            progress.update(position - done)
            done = position
    return _sorted(found, tar)


def val_images(tar: Path, labels: Path) -> ImagesByClass:
    """List the validation images: a flat tar file, whose classes stand in a text file.

    Args:
        tar: ILSVRC2012_img_val.tar, or a part of it: files that end in _val_<number from 00000001>.JPEG.
        labels: The synset of each image, one a line, in the order of their numbers.

    Returns:
        The images by synset, both sorted by name.

    Raises:
        ValueError: If the tar file is not complete or of another structure, an entry is no plain file, or the labels do
            not fit it.
        OSError: If a file cannot be read.
    """
    synsets = read_synsets(labels)
    found: dict[str, list[StoredImage]] = {}
    numbers = set()
    with _open(tar) as archive:
        for entry in _plain_files(archive, tar):
            match = _VAL_NAME.fullmatch(entry.name)
            number = int(match[1]) if match else 0
            if not 1 <= number <= len(synsets) or number in numbers:
                raise ValueError(
                    f"{tar} holds {printable(entry.name)}, but its images are ILSVRC2012_val_00000001.JPEG to "
                    f"{len(synsets):08d}, each once, by the {len(synsets)} lines of {labels}"
                )
            numbers.add(number)
            synset = synsets[number - 1]
            found.setdefault(synset, []).append(_stored(tar, 0, entry, synset))
    if len(numbers) < len(synsets):
        raise ValueError(f"{tar} holds {len(numbers)} images, but {labels} has {len(synsets)} lines: both must fit")
    return _sorted(found, tar)


def read_synsets(path: Path) -> list[str]:
    """Read a list of synsets, one a line.

    Args:
        path: A text file; empty lines at its end are passed over.

    Raises:
        ValueError: If a line is no synset.
        OSError: If the file cannot be read.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if not _SYNSET.fullmatch(line.strip()):
            raise ValueError(f"{path}, line {number}: '{line[:40]}' is no synset such as n01440764")
    return [line.strip() for line in lines]


def check_counts(images: ImagesByClass, split: str) -> None:
    """Raise if a split is not the original one by its numbers of classes and images.

    Args:
        images: The images by class.
        split: "train" or "val".

    Raises:
        ValueError: If a number differs.
    """
    total = sum(map(len, images.values()))
    wanted = {"train": TRAIN_IMAGES, "val": CLASSES * VAL_IMAGES_PER_CLASS}[split]
    advice = "download it again, or use --allow_other_counts for a part of ImageNet"
    if (len(images), total) != (CLASSES, wanted):
        raise ValueError(
            f"the {split} tar holds {total:,} images in {len(images):,} classes instead of {wanted:,} in {CLASSES:,}: "
            f"{advice}"
        )
    uneven = [name for name, each in images.items() if split == "val" and len(each) != VAL_IMAGES_PER_CLASS]
    if uneven:
        raise ValueError(
            f"class {uneven[0]} has {len(images[uneven[0]])} val images instead of {VAL_IMAGES_PER_CLASS}: "
            f"check --val_labels, or use --allow_other_counts for a part of ImageNet"
        )


class _Entry(tarfile.TarInfo):
    """An entry whose header is believed only within bounds: tarfile goes back for ever for a negative size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Entry:
        """Read a header as it is in the file; it need not belong to an entry of its own."""
        entry = super().frombuf(buf, encoding, errors)
        is_content = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
        if (
            entry.size < 0
            or entry.type == tarfile.GNUTYPE_SPARSE
            or (not is_content and entry.size > _MAX_HEADER_BYTES)
        ):
            raise tarfile.ReadError(f"a header of type {entry.type!r} with {entry.size} bytes")
        return entry

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Entry:
        """Read an entry with the headers before it, which may change its size."""
        entry = super().fromtarfile(archive)
        headers = entry.pax_headers
        # tarfile takes a size that it cannot read for 0.
        if entry.size < 0 or headers.get("size", str(entry.size)) != str(entry.size):
            raise tarfile.ReadError(f"an entry with {headers.get('size', '')[:40]} bytes")
        if any(key.startswith("GNU.sparse.") for key in headers):
            raise tarfile.ReadError("an entry in pieces")
        return entry


@contextmanager
def _open(path: Path, content: IO[bytes] | None = None) -> Iterator[tarfile.TarFile]:
    """Open a tar file, or the one inside it; an error while it is opened names the file."""
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(None if content else path, "r:", content, tarinfo=_Entry))
        except _DAMAGED as error:
            raise _damaged(path, error) from error
        yield archive


def _damaged(tar: Path, error: object) -> ValueError:
    return ValueError(f"{tar} is no complete, uncompressed tar file ({error}): download it again")


def _entries(archive: tarfile.TarFile, tar: Path) -> Iterator[tarfile.TarInfo]:
    """Yield all entries; refuse a tar file that ends otherwise than with zeros or its last byte."""
    stream = cast(IO[bytes], archive.fileobj)
    length = stream.seek(0, os.SEEK_END)
    try:
        while entry := archive.next():
            if entry.offset_data + entry.size > length:
                raise tarfile.ReadError(f"entry {printable(entry.name)} with {entry.size} bytes goes beyond the end")
            yield entry
        # tarfile takes a damaged header for the end.
        stream.seek(archive.offset)
        if any(stream.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError(f"a damaged header at byte {archive.offset}")
    except _DAMAGED as error:
        raise _damaged(tar, error) from error


def _plain_files(archive: tarfile.TarFile, tar: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a flat tar file; refuse what could be written anywhere else."""
    for entry in _entries(archive, tar):
        entry.name = entry.name.removeprefix("./")
        if entry.isdir() and entry.name in (".", ""):
            continue
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise ValueError(f"{tar} holds {printable(entry.name)}, which is a link, folder or device: not ImageNet's")
        if os.path.basename(entry.name) != entry.name or entry.name.startswith(".") or not entry.name:
            raise ValueError(f"{tar} holds {printable(entry.name)}, which is no plain file name: not ImageNet's")
        yield entry


def _stored(tar: Path, start: int, entry: tarfile.TarInfo, synset: str) -> StoredImage:
    if not entry.name.endswith(SUFFIX_FORMS):
        raise ValueError(f"{tar} holds {printable(entry.name)}, which is no image: not ImageNet's")
    return StoredImage(str(tar), start + entry.offset_data, entry.size, f"{synset}/{entry.name}")


def _sorted(found: dict[str, list[StoredImage]], tar: Path) -> ImagesByClass:
    """Return the images in the order of image folders; raise if a name stands there twice, or a class is empty."""
    for synset, images in found.items():
        if len({image.name for image in images}) < len(images) or not images:
            raise ValueError(f"{tar} has an image of {synset} twice, or none: download it again")
    return {
        synset: sorted(images, key=lambda image: os.fsencode(image.name)) for synset, images in sorted(found.items())
    }


def _progress(tar: Path) -> Progress:
    return Progress(tar.stat().st_size // _MIB, f"index {tar.name}", "MiB")
