"""The markers of a JPEG file as libjpeg reads them: MindSpore's decoder goes on after its fatal errors, and crashes."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

JPEG_START = b"\xff\xd8\xff"

_END_MARKER = b"\xff\xd9"
_START, _END, _SCAN, _TABLES, _QUANTIZATION, _RESTARTS = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})  # markers that nothing follows
_PASSED_OVER = frozenset({*range(0xE0, 0xF0), 0xFE, 0xDC, 0xCC})
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_ARITHMETIC = frozenset({0xC9, 0xCA})
_MARKER = re.compile(b"\xff[^\\0\xff]", re.DOTALL)

_MAX_SIDE = 65500
_MAX_BLOCKS = 10  # of 8 x 8 pixels in the smallest unit of a scan
_BANDS = 64
_DC, _AC = 0, 1

Size = tuple[int, int]
_Huffman = tuple[bytes, bytes]  # how many codes there are of each length, and what they stand for


class DamagedHeader(ValueError):
    """Libjpeg gives such a file up."""


@dataclass(frozen=True)
class _Component:
    identity: int
    across: int
    down: int
    quantization: int


@dataclass
class _Header:
    """What has been read so far."""

    marker: int = 0
    size: Size = (0, 0)
    components: list[_Component] = field(default_factory=list)
    quantization: set[int] = field(default_factory=set)
    huffman: dict[tuple[int, int], _Huffman] = field(default_factory=dict)


def jpeg_size(data: bytes) -> Size:
    """Return width and height of a JPEG file in pixels, after a check of every marker that its decoder comes to.

    Args:
        data: The content of the file, which begins with JPEG_START.

    Raises:
        DamagedHeader: If libjpeg would give it up, of a file of one scan before its pixels.
        IndexError, struct.error: If it ends before its only scan, before the last one of several, or in half a marker.
    """
    header = _Header()
    at, scans = 2, 0
    while True:
        # Bytes before a marker are passed over, and it may have several 0xFF in front.
        found = _MARKER.search(data, at)
        if not found:
            raise IndexError
        marker, at = found[0][1], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _END and scans:
            return header.size
        if marker in (_START, _END):
            raise DamagedHeader
        body, at = _segment(data, at)
        if marker == _SCAN:
            is_all = _check_scan(header, body)
            scans += 1
            # Where a file ends in half a marker, the decoder waits for the other half without end.
            if at >= len(data) or (data[-1] == 0xFF and data.find(_END_MARKER, at) < 0):
                raise IndexError
            if is_all and header.marker not in _PROGRESSIVE:
                return header.size
        elif marker in _READERS:
            _READERS[marker](header, body)
        elif marker in _FRAMES:
            _read_frame(header, marker, body)
        else:
            _demand(marker in _PASSED_OVER)


def _demand(condition: object) -> None:
    if not condition:
        raise DamagedHeader


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    """Return what follows a marker, and where it ends."""
    (length,) = struct.unpack_from(">H", data, at)
    end = at + max(length, 2)
    if end > len(data):
        raise IndexError
    return data[at + 2 : end], end


def _read_frame(header: _Header, marker: int, body: bytes) -> None:
    precision, height, width, count = struct.unpack_from(">BHHB", body)
    _demand(not header.marker and precision == 8 and len(body) == 6 + 3 * count and count in (1, 3, 4))
    _demand(0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE)
    header.components = [_Component(one, each >> 4, each & 15, table) for one, each, table in _triples(body[6:])]
    for sides in ([each.across for each in header.components], [each.down for each in header.components]):
        _demand(all(1 <= side <= 4 and max(sides) % side == 0 for side in sides))
    header.marker, header.size = marker, (width, height)


def _triples(body: bytes) -> zip[tuple[int, int, int]]:
    return zip(body[0::3], body[1::3], body[2::3], strict=True)


def _read_quantization(header: _Header, body: bytes) -> None:
    at = 0
    while at < len(body):
        _demand(body[at] & 15 < 4)
        header.quantization.add(body[at] & 15)
        at += 1 + (128 if body[at] >> 4 else 64)
    _demand(at == len(body))


def _read_tables(header: _Header, body: bytes) -> None:
    at = 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        _demand(len(counts) == 16 and len(symbols) == sum(counts) <= 256 and body[at] & 0xEF < 4)
        header.huffman[body[at] >> 4, body[at] & 15] = counts, symbols
        at += 17 + len(symbols)


def _read_restarts(header: _Header, body: bytes) -> None:
    _demand(len(body) == 2)


_READERS: dict[int, Callable[[_Header, bytes], None]] = {
    _TABLES: _read_tables,
    _QUANTIZATION: _read_quantization,
    _RESTARTS: _read_restarts,
}


def _check_scan(header: _Header, body: bytes) -> bool:
    """Check the header of a scan; return whether it holds all components."""
    _demand(header.marker and body and 1 <= body[0] <= 4 and len(body) == 4 + 2 * body[0])
    chosen: list[_Component] = []
    for place in range(body[0]):
        # As libjpeg looks for them: in the order of the frame.
        rest = header.components[place:]
        chosen += [each for each in rest if each.identity == body[1 + 2 * place] and each not in chosen][:1]
        _demand(len(chosen) == place + 1)
    _demand(len(chosen) == 1 or sum(each.across * each.down for each in chosen) <= _MAX_BLOCKS)
    _demand(all(each.quantization in header.quantization for each in chosen))
    tables = [(each >> 4, each & 15) for each in body[2 : 1 + 2 * body[0] : 2]]
    first, last, bits = body[-3:]
    if header.marker in _PROGRESSIVE:
        _check_progression(first, last, bits, len(chosen))
        needed = [(_AC, ac) for _, ac in tables] if first else [(_DC, dc) for dc, _ in tables if not bits >> 4]
    else:
        needed = [pair for dc, ac in tables for pair in ((_DC, dc), (_AC, ac))]
    if header.marker not in _ARITHMETIC:
        for kind, number in needed:
            _check_huffman(kind, header.huffman.get((kind, number)))
    return len(chosen) == len(header.components)


def _check_progression(first: int, last: int, bits: int, components: int) -> None:
    high, low = bits >> 4, bits & 15
    _demand(first <= last < _BANDS and components == 1 if first else last == 0)
    _demand(low <= 13 and (not high or low == high - 1))


def _check_huffman(kind: int, table: _Huffman | None) -> None:
    if table is None:
        raise DamagedHeader
    counts, symbols = table
    code = 0
    for length, count in enumerate(counts.rstrip(b"\0"), start=1):
        code = 2 * code + count
        _demand(code < 1 << length)
    _demand(kind == _AC or max(symbols, default=0) < 16)
