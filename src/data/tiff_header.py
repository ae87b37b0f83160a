"""What the header of a TIFF or BigTIFF file tells: the size of its first image, and where the pixels lie."""

from __future__ import annotations

import struct

TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
BIG_TIFF_STARTS = {b"II+\0": "<", b"MM\0+": ">"}

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_PIECES = {273: 279, 324: 325}  # where strips or tiles begin: how long they are
_KNOWN = {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT, *_PIECES, *_PIECES.values()}
_FORMS = {1: "B", 3: "H", 4: "I", 16: "Q"}

Size = tuple[int, int]


def tiff_size(data: bytes) -> Size:
    """Return width and height in pixels; of tiles larger than the image those of a tile, which decoding takes.

    Args:
        data: The content of the file, which begins with one of the starts.

    Raises:
        struct.error, KeyError: If it is damaged before the size.
    """
    found = _read_tags(data, {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT})
    width, height = found[_WIDTH][0], found[_HEIGHT][0]
    tile = found.get(_TILE_WIDTH, (0,))[0], found.get(_TILE_HEIGHT, (0,))[0]
    return tile if tile[0] * tile[1] > width * height and width and height else (width, height)


def holds_its_pixels(data: bytes) -> bool:
    """Tell whether all strips or tiles lie within the file; decoders fill what is missing with anything."""
    try:
        found = _read_tags(data, _KNOWN)
    except (struct.error, KeyError):
        return False
    for begin, length in _PIECES.items():
        pieces = list(zip(found.get(begin, ()), found.get(length, ()), strict=False))
        if pieces:
            return all(at + size <= len(data) for at, size in pieces)
    return False


def _read_tags(data: bytes, wanted: set[int]) -> dict[int, tuple[int, ...]]:
    """Return the numbers of tags; of tags that stand twice, the first."""
    start = data[:4]
    if start in TIFF_STARTS:
        order, offset, count, entry, value = TIFF_STARTS[start], "I", "H", 12, 8
        (at,) = struct.unpack_from(order + offset, data, 4)
    else:
        order, offset, count, entry, value = BIG_TIFF_STARTS[start], "Q", "Q", 20, 12
        (at,) = struct.unpack_from(order + offset, data, 8)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(count)
    found: dict[int, tuple[int, ...]] = {}
    for place in range(at, min(at + entry * entries, len(data) - entry + 1), entry):
        tag, kind, numbers = struct.unpack_from(f"{order}HH{offset}", data, place)
        if tag not in wanted or tag in found:
            continue
        form, where = _FORMS[kind], place + value
        if tag not in _PIECES and tag not in _PIECES.values():
            numbers = 1
        elif numbers * struct.calcsize(form) > entry - value:
            (where,) = struct.unpack_from(order + offset, data, where)
        if numbers > len(data):
            raise KeyError(tag)
        found[tag] = struct.unpack_from(f"{order}{numbers}{form}", data, where)
    return found
