"""Files of the safetensors format: the length of a header, the header in JSON, numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tools.weight_formats.layers import shown
from tools.weight_formats.tensors import StoredTensor, add_once, decode

# The format's names of types that are taken, or that a message should call by their common names; and their bytes.
_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
_LONGEST_HEADER = 100_000_000  # the format's own limit


def read_safetensors(path: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Return the tensors that a file declares, and its texts, by name; the package safetensors is not needed.

    Raises:
        ValueError: If the file is damaged, or declares a tensor twice or of another size than its shape's.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            start = 8 + length
            size = path.stat().st_size
            if size < start or not 0 < length <= _LONGEST_HEADER:
                raise ValueError(f"it has no header of {length} bytes")
            header = json.loads(file.read(length), object_pairs_hook=lambda pairs: add_once({}, pairs))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
        texts = header.pop("__metadata__", None) or {}
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("its __metadata__ is no mapping of names to texts")
        return {name: _declared(path, name, entry, (start, size)) for name, entry in header.items()}, texts
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot read {path} as safetensors: {error}") from error


def _declared(path: Path, name: str, entry: Any, bounds: tuple[int, int]) -> StoredTensor:
    """Return a tensor of the header; bounds are where the numbers of the file begin and end."""
    dtype, item_size = _TYPES.get(entry["dtype"], (str(entry["dtype"]), 0))
    shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{shown(name)} has a shape or place that is none")
    start, size = bounds
    if not begin <= end <= size - start or (item_size and end - begin != math.prod(shape) * item_size):
        raise ValueError(f"{shown(name)} lies outside the file, or has another size than its shape {shape}")

    def read() -> np.ndarray:
        with path.open("rb") as file:
            file.seek(start + begin)
            content = file.read(end - begin)
        if len(content) != end - begin:
            raise ValueError(f"{path} has become shorter while it was read")
        return decode(content, dtype).reshape(shape)

    return StoredTensor(shape, dtype, read)
