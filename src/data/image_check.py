"""Find the images that training cannot read by decoding them in processes of their own, which a file may crash."""

from __future__ import annotations

import os
import stat
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import Image, UnidentifiedImageError

from src.common.progress import Progress
from src.common.workers import process_pool
from src.data.image_folders import UNREAD_SUFFIXES

Item = TypeVar("Item")
Check = Callable[[Item], str]
Results = list[tuple[Item, str]]  # (image, reason), an empty reason for a good image

_FORMATS = {"JPEG", "MPO", "PNG", "BMP", "TIFF"}  # MPO is a camera's JPEG with a second picture behind it
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_CHUNK = 16  # files per task: large enough to keep hand-over cheap, small enough for a smooth bar


def find_bad_images(paths: Sequence[Path], workers: int, progress: Progress | None = None) -> Results[Path]:
    """Decode every image, in several processes, and tell which ones are bad.

    Args:
        paths: The files.
        workers: Number of processes, >= 1.
        progress: Is told about every finished file.

    Returns:
        The bad files with their reasons, sorted by path.
    """
    return sorted(find_bad(paths, workers, check_image, progress))


def find_bad(
    items: Sequence[Item], workers: int, check: Check[Item], progress: Progress | None = None
) -> Results[Item]:
    """Check items, in several processes, and tell which ones are bad or kill the process that checks them.

    Args:
        items: What is checked.
        workers: Number of processes, >= 1.
        check: A function of a module; returns the reason why an item is bad, or an empty text.
        progress: Is told about every finished item.

    Returns:
        The bad items with their reasons, in any order.
    """
    bad: Results[Item] = []
    for results in _check_all(items, workers, check):
        bad += [(item, reason) for item, reason in results if reason]
        if progress:
            progress.update(len(results), f"{len(bad)} bad")
    return bad


def check_image(path: Path) -> str:
    """Tell why an image is of no use for training.

    Args:
        path: The file; it is decoded completely.

    Returns:
        The reason, or an empty text for a good image.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "not a file"
        if path.suffix.lower() in UNREAD_SUFFIXES and status.st_size:
            return f"training does not read {path.suffix} files: convert it to JPEG or PNG"
        with path.open("rb") as file:
            return check_content(file)
    except OSError as error:
        return error.strerror or " ".join(str(error).split())


def check_content(file: BinaryIO) -> str:
    """Tell why the content of an image file is of no use for training.

    Args:
        file: The open file; it is decoded completely.

    Returns:
        The reason, or an empty text for a good image.
    """
    if not file.read(1):
        return "empty file (0 bytes)"
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(file)
    except UnidentifiedImageError:
        return "not an image"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"absurd size: more than {Image.MAX_IMAGE_PIXELS} pixels"
    except OSError as error:
        return error.strerror or " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 - Pillow raises errors of any type when a file is damaged
        return " ".join(f"cannot be decoded: {type(error).__name__}: {error}".split())


def _decode(file: BinaryIO) -> str:
    """Decode the image; return a reason where Pillow accepts what the training decoder refuses."""
    with Image.open(file) as image:
        if image.format not in _FORMATS:
            return f"{image.format} data, which the training decoder does not take: convert it to JPEG or PNG"
        image.load()
        is_png = image.format == "PNG"
    if is_png:
        file.seek(0)
        if _PNG_END not in file.read():
            return "image file is truncated (the end of the PNG is missing)"
    return ""


def _check_all(items: Sequence[Item], workers: int, check: Check[Item]) -> Iterator[Results[Item]]:
    """Yield the results of all items in groups; one that kills its process is one more bad item."""
    chunks = deque(list(items[start : start + _CHUNK]) for start in range(0, len(items), _CHUNK))
    while chunks:
        lost = yield from _check_in_pool(chunks, workers, check)
        yield from _check_one_by_one(deque(lost), check)


def _check_in_pool(
    chunks: deque[list[Item]], workers: int, check: Check[Item]
) -> Generator[Results[Item], None, list[Item]]:
    """Take chunks and yield their results; return the items that were under way when a worker was killed."""
    running: dict[Future[Results[Item]], list[Item]] = {}
    with process_pool(workers) as pool:
        try:
            while chunks or running:
                # Few at a time: a large data set does not fill the memory, and a crash loses little.
                while chunks and len(running) < 2 * workers:
                    future = pool.submit(_check_chunk, check, chunks[0])
                    running[future] = chunks.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    results = future.result()
                    del running[future]
                    yield results
        except BrokenProcessPool:
            pass
    return [item for chunk in running.values() for item in chunk]


def _check_one_by_one(items: deque[Item], check: Check[Item]) -> Iterator[Results[Item]]:
    """Yield the results of items one of which kills its process."""
    while items:
        with process_pool(1) as pool:
            pool.submit(os.getpid).result()  # processes that cannot even start are no file's fault
            try:
                while items:
                    reason = pool.submit(check, items[0]).result()
                    yield [(items.popleft(), reason)]
            except BrokenProcessPool:
                yield [(items.popleft(), "the decoder's process was killed while reading it")]


def _check_chunk(check: Check[Item], items: Sequence[Item]) -> Results[Item]:
    return [(item, check(item)) for item in items]
