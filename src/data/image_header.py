"""The size of an image as its header tells it, found without decoding anything."""

from __future__ import annotations

import struct
from collections.abc import Callable

JPEG_START = b"\xff\xd8\xff"
EMPTY_FILE = "empty file (0 bytes)"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_BMP_START = b"BM"
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFF_STARTS = {b"II+\0": "<", b"MM\0+": ">"}
_CORE_HEADER = 12  # bytes of the header of a BMP file of OS/2

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # markers of a JPEG that nothing follows
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA  # the end of the header
_END = 0xD9

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_TIFF_FORMS = {1: "B", 3: "H", 4: "I", 16: "Q"}

Size = tuple[int, int]


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
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError("the file is truncated or damaged in its header") from error
    if not (width and height):
        raise ValueError(f"an image of {width} x {height} pixels")
    return width, height


def _reader(data: bytes) -> Callable[[bytes], Size] | None:
    start = data[:4]
    if start[:3] == JPEG_START:
        return _jpeg
    if data[:8] == _PNG_START:
        return lambda data: struct.unpack_from(">II", data, 16)
    if start[:2] == _BMP_START:
        return _bmp
    if start in _TIFF_STARTS or start in _BIG_TIFF_STARTS:
        return _tiff
    return _webp if is_webp(data) else None


def _jpeg(data: bytes) -> Size:
    at = 2
    size = (0, 0)
    while True:
        # As libjpeg does: bytes before a marker are passed over, and a marker may have several 0xFF in front.
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
            if at < 0:
                raise IndexError
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0 or marker in _WITHOUT_LENGTH:
            at += 2
        elif marker == _END:
            raise KeyError
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker in _FRAMES:
                height, width = struct.unpack_from(">HH", data, at + 5)
                size = width, height
            at += 2 + length
            if marker == _SCAN:
                # MindSpore's decoder divides by zero where a file ends before its first scan.
                if at >= len(data):
                    raise IndexError
                return size


def _bmp(data: bytes) -> Size:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == _CORE_HEADER else "<ii", data, 18)
    return abs(width), abs(height)  # a negative height says that the first row is the upper one


def _tiff(data: bytes) -> Size:
    start = data[:4]
    if start in _TIFF_STARTS:
        order, offset, count, entry, value = _TIFF_STARTS[start], "I", "H", 12, 8
        (at,) = struct.unpack_from(order + offset, data, 4)
    else:
        order, offset, count, entry, value = _BIG_TIFF_STARTS[start], "Q", "Q", 20, 12
        (at,) = struct.unpack_from(order + offset, data, 8)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(count)
    found: dict[int, int] = {}
    for place in range(at, min(at + entry * entries, len(data) - entry + 1), entry):
        tag, kind = struct.unpack_from(order + "HH", data, place)
        if tag in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT) and tag not in found:
            (found[tag],) = struct.unpack_from(order + _TIFF_FORMS[kind], data, place + value)
    width, height = found[_WIDTH], found[_HEIGHT]
    tile = found.get(_TILE_WIDTH, 0), found.get(_TILE_HEIGHT, 0)
    return tile if tile[0] * tile[1] > width * height and width and height else (width, height)


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
