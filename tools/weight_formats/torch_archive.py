"""PyTorch's own files: pickles, and numbers beside them in a zip file or, until PyTorch 1.5, behind them."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tools.weight_formats.layers import shown
from tools.weight_formats.tensors import decode, open_archive
from tools.weight_formats.torch_pickle import InertUnpickler, Storage

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file of PyTorch before 1.6


def read_torch_file(path: Path) -> Any:
    """Return what a file holds: dicts, lists and plain values, StoredTensor for tensors, Placeholder for the rest.

    Args:
        path: A file written by torch.save.

    Raises:
        ValueError: If the file is damaged or is none.
    """
    try:
        return _read_archive(path) if zipfile.is_zipfile(path) else _read_row(path)
    except Exception as error:  # a damaged program fails in any way
        told = isinstance(error, ValueError)
        reason = str(error) if told else f"it is damaged, or no such file ({type(error).__name__}: {error})"
        message = f"cannot read {path} as PyTorch weights: {reason}"
        raise ValueError(reason if reason.startswith(str(path)) else message) from error


def _read_archive(path: Path) -> Any:
    """Read a file of PyTorch 1.6 or newer: a zip file with the program and one entry a storage."""
    with open_archive(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        programs = [name for name in entries if name.endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError(f"it is a zip file with {len(programs)} entries data.pkl")
        prefix = programs[0].removesuffix("data.pkl")
        name = f"{prefix}byteorder"
        order = ">" if name in entries and archive.read(name) == b"big" else "<"

        def storage(dtype: str, size: int, key: str, numbers: int) -> Storage:
            entry = entries[f"{prefix}data/{key}"]
            if entry.file_size != numbers * size:
                raise ValueError(f"its storage {shown(key)} has {entry.file_size} bytes for {numbers} numbers")
            return Storage(dtype, numbers, lambda: _read_entry(path, entry, dtype, order))

        return InertUnpickler(io.BytesIO(archive.read(programs[0])), storage).load()


def _read_entry(path: Path, entry: zipfile.ZipInfo, dtype: str, order: str) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive:
            return decode(archive.read(entry), dtype, order)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # NotImplementedError is a RuntimeError
        raise ValueError(f"its entry {shown(entry.filename)} is damaged: {error}") from error


def _read_row(path: Path) -> Any:
    """Read a file of older versions: four pickles, the names of the storages, and then these in a row."""
    content = path.read_bytes()
    file = io.BytesIO(content)
    sizes: dict[str, tuple[int, int]] = {}  # bytes a number, numbers
    starts: dict[str, int] = {}

    def storage(dtype: str, size: int, key: str, numbers: int) -> Storage:
        sizes[key] = size, numbers
        return Storage(
            dtype,
            numbers,
            lambda: decode(content[starts[key] : starts[key] + numbers * size], dtype, order),
        )

    def load() -> Any:
        return InertUnpickler(file, storage).load()

    order = "<"
    if load() != _MAGIC:
        raise ValueError("it does not begin as such a file")
    load()  # the version of the layout
    system = load()
    order = "<" if not isinstance(system, dict) or system.get("little_endian", True) else ">"
    found = load()
    for key in load():
        size, numbers = sizes[key]
        if int.from_bytes(file.read(8), "little" if order == "<" else "big") != numbers:
            raise ValueError(f"its storage {shown(key)} has not {numbers} numbers")
        starts[key] = file.tell()
        if file.seek(numbers * size, io.SEEK_CUR) > len(content):
            raise ValueError("it is cut off")
    if missing := sizes.keys() - starts.keys():
        raise ValueError(f"it lacks the storage {shown(missing.pop())}")
    return found
