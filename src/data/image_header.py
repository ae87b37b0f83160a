"""The size of an image as its header tells it, found without decoding anything."""

from __future__ import annotations

import struct
from collections.abc import Callable

from src.data.jpeg_header import JPEG_START, DamagedHeader, Size, jpeg_size
from src.data.tiff_header import BIG_TIFF_STARTS, TIFF_STARTS, tiff_size

EMPTY_FILE = "empty file (0 bytes)"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_BMP_START = b"BM"
_CORE_HEADER = 12  # bytes of the header of a BMP file of OS/2


def is_webp(data: bytes) -> bool:
    """Tell whether an image file is a WebP file, by its first 12 bytes."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def image_size(data: bytes) -> Size:
    """Return width and height of an encoded image in pixels.

    Args:
        data: The content of the file. Of a tiled TIFF file with tiles larger than the image it is the size of a tile,
            as that is what decoding it takes.

    Raises:
        ValueError: If it is no JPEG, PNG, BMP, TIFF or WebP file, or is damaged before the size.
    """
    if not data:
        raise ValueError(EMPTY_FILE)
    read = _reader(data)
    if not read:
        raise ValueError("not a JPEG, PNG, BMP, TIFF or WebP file")
    try:
        width, height = read(data)
    except (struct.error, IndexError, KeyError, DamagedHeader) as error:
        raise ValueError("the file is truncated or damaged in its header") from error
    if not (width and height):
        raise ValueError(f"an image of {width} x {height} pixels")
    return width, height


def _reader(data: bytes) -> Callable[[bytes], Size] | None:
    start = data[:4]
    if start[:3] == JPEG_START:
        return jpeg_size
    if data[:8] == _PNG_START:
        return lambda data: struct.unpack_from(">II", data, 16)
    if start[:2] == _BMP_START:
        return _bmp
    if start in TIFF_STARTS or start in BIG_TIFF_STARTS:
        return tiff_size
    return _webp if is_webp(data) else None


def _bmp(data: bytes) -> Size:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == _CORE_HEADER else "<ii", data, 18)
    return abs(width), abs(height)  # a negative height says that the first row is the upper one


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
