"""Find the images that training cannot read by decoding them in processes of their own, which a file may crash."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from src.common.progress import Progress
from src.common.regular_file import read_regular
from src.data.admission import Admission
from src.data.image_folders import UNREAD_SUFFIXES
from src.data.image_header import EMPTY_FILE, image_size
from src.data.image_limits import RECIPE_LIMITS, ImageLimits
from src.data.jpeg_header import JPEG_START
from src.data.parallel_check import Results, find_bad
from src.data.tiff_header import holds_its_pixels

_FORMATS = {"JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP"}  # MPO is a camera's JPEG with a second picture behind it
_JPEG_END = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_NO_IMAGE = "not an image"


def find_bad_images(
    paths: Sequence[Path],
    workers: int,
    progress: Progress | None = None,
    limits: ImageLimits = RECIPE_LIMITS,
    pool: ProcessPoolExecutor | None = None,
) -> Results[Path]:
    """Decode every image, in several processes, and tell which ones are bad.

    Args:
        paths: The files.
        workers: Number of processes, >= 1.
        progress: Is told about every finished file.
        limits: What the images must keep to.
        pool: Processes of process_pool that run already; they are of no use afterwards if a file has crashed one.

    Returns:
        The bad files with their reasons, sorted by path.
    """
    return sorted(find_bad(paths, workers, partial(check_image, limits=limits), progress, pool))


def check_image(path: Path, limits: ImageLimits = RECIPE_LIMITS) -> str:
    """Tell why an image is of no use for training, by the decoder that training uses.

    Args:
        path: The file; it is decoded completely, which may crash the process.
        limits: What the image must keep to.

    Returns:
        The reason, or an empty text for a good image.
    """
    try:
        content = read_regular(path)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return error.strerror or " ".join(str(error).split())
    if path.suffix.lower() in UNREAD_SUFFIXES and content:
        return f"training does not read {path.suffix} files: convert it to JPEG or PNG"
    return check_content(content, limits)


def check_content(content: bytes, limits: ImageLimits = RECIPE_LIMITS) -> str:
    """Tell why the content of an image file is of no use for training, by the decoder that training uses.

    Args:
        content: The content; it is decoded completely, which may crash the process.
        limits: What the image must keep to.

    Returns:
        The reason, or an empty text for a good image.
    """
    if not content:
        return EMPTY_FILE
    try:
        image_size(content)
    except ValueError as error:
        return _ask_pillow(content) or str(error)
    try:
        limits.check(content)
    except ValueError as error:
        return str(error)
    reason = _ask_pillow(content)
    # Pillow is the stricter one, but what it refuses may crash the other: a JPEG may only lack its end marker.
    if reason and content.startswith(JPEG_START) and not _lacks_only_its_end(content):
        return reason
    if reason and content[:2] in (b"II", b"MM"):
        # OpenCV fills the damaged parts of a TIFF file with anything, but reads more kinds of pixels than Pillow.
        if reason != _NO_IMAGE or not holds_its_pixels(content):
            return reason
        reason = ""
    return (reason or "the decoder of training cannot read this kind of file: convert it to JPEG or PNG") * (
        not _is_decoded(content, limits)
    )


def import_decoder() -> None:
    """Import what decodes images, which takes a second."""
    from mindspore.dataset import vision  # noqa: F401


def _is_decoded(content: bytes, limits: ImageLimits) -> bool:
    """Tell whether the decoder of training and evaluation reads an image."""
    from mindspore.dataset import vision  # takes seconds to import: only the processes that decode need it

    decode = vision.Decode()
    with _nowhere():
        for _ in range(2):  # after a damaged JPEG, it may refuse the next good one
            try:
                decode(Admission(limits)(np.frombuffer(content, np.uint8)))
            except (RuntimeError, ValueError):
                continue
            return True
    return False


def _lacks_only_its_end(content: bytes) -> bool:
    """Tell whether a JPEG that Pillow refuses is whole but for its end marker: what follows changes no pixel then."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pictures = [Image.open(io.BytesIO(content + more + _JPEG_END)).tobytes() for more in (b"", 64 * b"U")]
    except Exception:  # noqa: BLE001 - Pillow raises errors of any type when a file is damaged
        return False
    return pictures[0] == pictures[1]


@contextmanager
def _nowhere() -> Iterator[None]:
    """Be in a folder that takes no files: MindSpore writes what it cannot decode into the current one."""
    if sys.platform == "win32":  # where a folder stays as long as a process is in it
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as nowhere:
            os.chdir(nowhere)
            try:
                yield
            finally:
                os.chdir(before)
        return
    here = os.open(".", os.O_RDONLY)
    try:
        nowhere = tempfile.mkdtemp()
        os.chdir(nowhere)
        os.rmdir(nowhere)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _ask_pillow(content: bytes) -> str:
    """Return what Pillow says against an image, or an empty text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(io.BytesIO(content))
    except UnidentifiedImageError:
        return _NO_IMAGE
    except Image.DecompressionBombError:
        return ""  # the limits say what is too large
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
