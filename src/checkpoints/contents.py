"""What a checkpoint file holds, taken out of its protobuf only where every part of it adds up."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.common.protobuf import read_fields

if TYPE_CHECKING:
    from mindspore.train.checkpoint_pb2 import TensorProto

Entry = np.ndarray | str

_CHECKSUM, _CHECKSUM_BYTES = b"crc_num", 17  # what save_checkpoint(crc_check=True) ends a file with
_TEXT = "str"
_WHOLE = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64")
_TYPES = {name: np.dtype(name.lower()) for name in (*_WHOLE, "Float16", "Float32", "Float64", "Bool")}
_BFLOAT16 = "BFloat16"  # the upper half of a float32; NumPy has no such type
_MOST_DIMENSIONS = 8
_ENTRY = 1  # number of the field of an entry
_SHOWN = 80


def unpack(content: bytes) -> tuple[dict[str, Entry], bool]:
    """Take the entries out of a checkpoint.

    MindSpore's own reader believes the sizes that a file declares: too little data gives numbers that it does not hold,
    too much is written past the end of memory. So nothing is handed to it.

    Args:
        content: The file's content. A name may stand several times in a row, as MindSpore writes large parameters.

    Returns:
        Arrays, bfloat16 as float32, and text, by name; and whether the file has a checksum, which is right then.

    Raises:
        ValueError: If the checksum is wrong, or anything does not add up; the message names the entry.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    has_checksum = content[-_CHECKSUM_BYTES:].startswith(_CHECKSUM)
    if has_checksum:
        checksum = int.from_bytes(content[len(_CHECKSUM) - _CHECKSUM_BYTES :], "big")
        content = content[:-_CHECKSUM_BYTES]
        if zlib.crc32(content) != checksum:
            raise ValueError("its checksum is wrong")
    try:
        checkpoint = Checkpoint.FromString(content)
    except MemoryError:
        raise
    except Exception as error:  # protobuf's own have no common type
        raise ValueError("it is cut, or no checkpoint") from error
    # Parts that protobuf passes over would be missing without a word.
    checkpoint.DiscardUnknownFields()
    if not checkpoint.value or checkpoint.ByteSize() != len(content):
        raise ValueError("it holds other things than a checkpoint's entries")
    entries: dict[str, Entry] = {}
    for name, group in itertools.groupby(checkpoint.value, lambda value: value.tag):
        if name in entries:
            raise _damage(name, "is there twice")
        parts = list(group)
        if not all(part.HasField("tensor") for part in parts):
            raise _damage(name, "is no tensor")
        entries[name] = _join(name, [part.tensor for part in parts])
    return entries, has_checksum


def unpack_first(content: bytes, names: Container[str]) -> dict[str, Entry]:
    """Take the first entries out of the beginning of a checkpoint, which may be cut anywhere.

    Args:
        content: The first bytes of the file.
        names: The entries; what stands after the first one of another name is not looked at.

    Returns:
        As `unpack`, without any word on the rest of the file.

    Raises:
        ValueError: If an entry does not add up.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    entries: dict[str, Entry] = {}
    for number, _, begin, end in read_fields(content):
        if number != _ENTRY:
            break
        try:
            value = Checkpoint.Value.FromString(content[begin:end])
        except Exception as error:  # protobuf's own have no common type
            raise ValueError("it is cut, or no checkpoint") from error
        if value.tag not in names:
            break
        entries[value.tag] = _join(value.tag, [value.tensor])
    return entries


def _join(name: str, parts: Sequence[TensorProto]) -> Entry:
    """Return the value of an entry from its parts, each of which declares the shape of the whole."""
    kind, shape = parts[0].tensor_type, tuple(parts[0].dims)
    if any(part.tensor_type != kind or tuple(part.dims) != shape for part in parts):
        raise _damage(name, "is there twice, with different shapes or types")
    content = b"".join(part.tensor_content for part in parts)
    if kind == _TEXT:
        return _to_text(name, content)
    if kind not in _TYPES and kind != _BFLOAT16:
        raise _damage(name, f"has the unknown type {_shown(kind)}")
    shape = () if shape == (0,) else shape  # so older versions write a single number
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=1) < 1:
        raise _damage(name, f"has the impossible shape {_shown(shape)}")
    dtype = _TYPES.get(kind, np.dtype(np.uint16))
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise _damage(name, f"has {len(content)} bytes, but {kind} {_shown(shape)} takes {wanted}")
    values = np.frombuffer(content, dtype).reshape(shape)
    return (values.astype(np.uint32) << 16).view(np.float32) if kind == _BFLOAT16 else values


def _to_text(name: str, content: bytes) -> str:
    """Return text, which MindSpore writes as NumPy holds it."""
    try:
        return content.decode("utf-32-le").rstrip("\0")
    except UnicodeDecodeError as error:
        raise _damage(name, "is no text") from error


def _damage(name: str, problem: str) -> ValueError:
    return ValueError(f"its entry {_shown(name)} {problem}")


def _shown(value: Any) -> str:
    """Return what stands in a file for a message: short, and on one line."""
    text = str(value) if isinstance(value, tuple) else ascii(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
