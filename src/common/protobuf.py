"""Protobuf's wire format, as far as single fields of a message are read and written without its library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_MOST_VARINT_BYTES = 10


class Field(NamedTuple):
    """A field of a message.

    Args:
        number: Its number.
        start: Where it starts, with its tag.
        begin: Where its content begins.
        end: Where that ends.
    """

    number: int
    start: int
    begin: int
    end: int


def read_fields(content: bytes, place: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of a message; what is cut or no protobuf ends the walk.

    Args:
        content: What the message is part of.
        place: Where it begins.
        end: Where it ends; None for the end of the content.
    """
    end = len(content) if end is None else end
    while place < end:
        start = place
        tag, place = _read_varint(content, place, end)
        kind = tag & 7
        if kind == _VARINT:
            begin, (_, place) = place, _read_varint(content, place, end)
        elif kind == _BYTES:
            size, begin = _read_varint(content, place, end)
            place = begin + size
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, end)
            begin, place = place, place + size
        if place > end:
            return
        yield Field(tag >> 3, start, begin, place)


def to_field(number: int, content: bytes) -> bytes:
    """Return a field of bytes or text."""
    return _to_varint(number << 3 | _BYTES) + _to_varint(len(content)) + content


def _read_varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    """Return the number at a place and where it ends; past the end if there is none."""
    number = 0
    for shift in range(min(_MOST_VARINT_BYTES, end - place)):
        byte = content[place + shift]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, place + shift + 1
    return 0, end + 1


def _to_varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
