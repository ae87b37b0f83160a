"""Metadata in MINDIR and ONNX files, whose formats have a place for text that every runtime passes over.

The two formats agree in it: field 14 of the outermost message, `user_info` of the one and `metadata_props` of the
other, is a list of (key, value). Entries are appended to the file, so that no other byte of it changes, the last one
with the digest of all that stands before it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from src.common.protobuf import read_fields, to_field
from src.metadata.metadata import Metadata, parse_metadata

METADATA_KEY = "xception.metadata"
DIGEST_KEY = "xception.sha256"

_FIELD = 14


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
    inner = to_field(1, key.encode()) + to_field(2, value.encode())
    return to_field(_FIELD, inner)


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
    for number, start, begin, end in read_fields(content):
        if number == _FIELD:
            pair = {inner.number: content[inner.begin : inner.end] for inner in read_fields(content, begin, end)}
            key, value = (pair.get(part, b"").decode(errors="surrogateescape") for part in (1, 2))
            entries.append(_Entry(key, value, start, end))
    return entries if end == len(content) else []
