"""Metadata in MINDIR and ONNX files, whose formats have a place for text that every runtime passes over.

The two formats agree in it: field 14 of the outermost message, `user_info` of the one and `metadata_props` of the
other, is a list of (key, value). Entries are appended to the file, so that no other byte of it changes, the last one
with the digest of all that stands before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from src.metadata.metadata import Metadata, parse_metadata

METADATA_KEY = "xception.metadata"
DIGEST_KEY = "xception.sha256"

_FIELD = 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
_MOST_VARINT_BYTES = 10


def add_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Return the content of a model file with its metadata, and the digest of all of it, at the end.

    Args:
        content: A MINDIR or ONNX file, without such entries.
        metadata: What its weights mean.
    """
    described = content + _entry(METADATA_KEY, metadata.to_json())
    return described + _entry(DIGEST_KEY, hashlib.sha256(described).hexdigest())


def read_model_metadata(path: Path) -> Metadata | None:
    """Return what a MINDIR or ONNX file says of its weights, None where it says nothing, and check its digest.

    Args:
        path: The file; one that is no protobuf says nothing. Without a digest, as other programs write them, any
            content is taken.

    Raises:
        ValueError: If its content is not what its digest was taken of, or the metadata is damaged or of a newer format.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    entries = {entry.key: entry for entry in _entries(content)}
    digest = entries.get(DIGEST_KEY)
    if digest:
        covered = memoryview(content)[: digest.start]
        if digest.end != len(content) or hashlib.sha256(covered).hexdigest() != digest.value:
            raise ValueError(
                f"{path} is damaged, or was changed by another program: its content does not fit its digest; copy or "
                "export it again"
            )
    return parse_metadata(entries[METADATA_KEY].value, str(path)) if METADATA_KEY in entries else None


def _entry(key: str, value: str) -> bytes:
    inner = _sized(1, key.encode()) + _sized(2, value.encode())
    return _sized(_FIELD, inner)


def _sized(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class _Entry(NamedTuple):
    """A key and its value, and the part of the file that they take."""

    key: str
    value: str
    start: int
    end: int


def _entries(content: bytes) -> list[_Entry]:
    """Return the entries of a file; what is no protobuf to its end has none, as its loader will say."""
    entries = []
    end = 0
    for start, number, begin, end in _fields(content, 0, len(content)):
        if number == _FIELD:
            pair = {inner: content[first:last] for _, inner, first, last in _fields(content, begin, end)}
            key, value = (pair.get(part, b"").decode(errors="surrogateescape") for part in (1, 2))
            entries.append(_Entry(key, value, start, end))
    return entries if end == len(content) else []


def _fields(content: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (where it starts, number, begin and end of its content) of the fields of a message."""
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
        yield start, tag >> 3, begin, place


def _read_varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    """Return the number at a place and where it ends; past the end if there is none."""
    number = 0
    for shift in range(min(_MOST_VARINT_BYTES, end - place)):
        byte = content[place + shift]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, place + shift + 1
    return 0, end + 1
