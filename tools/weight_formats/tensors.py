"""Tensors as files declare them: names, shapes and types are compared before any number is read, numbers after."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.metadata.metadata import Metadata
from tools.weight_formats.layers import Weights, is_classifier, parameter_shapes, refuse_differences, shown

# How the numbers of the types that are taken lie in a file; NumPy has no bfloat16, the upper half of a float32.
_LAYOUTS = {"float16": "f2", "bfloat16": "u2", "float32": "f4", "float64": "f8"}
_LARGEST_RATIO = 4  # of the numbers that a file declares to its own size; trained weights can hardly be packed


@dataclass(frozen=True)
class Read:
    """What a file of another package gave.

    Args:
        weights: The weights, of which those of the classifier may be missing.
        notes: What a person should know of how they were taken, one line each.
        metadata: What the weights mean, where this project wrote that with them.
        said: What the package's own settings with the weights say, by the names of Metadata.
    """

    weights: Weights
    notes: tuple[str, ...] = ()
    metadata: Metadata | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that a file declares.

    Args:
        shape: Its shape.
        dtype: The name of its type, such as float32.
        read: Returns its numbers in that shape, once they are wanted; raises ValueError if they are damaged.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    @classmethod
    def of(cls, value: np.ndarray) -> StoredTensor:
        """Return an array that is in memory already as such a tensor."""
        return cls(value.shape, value.dtype.name, lambda: value)

    def transpose(self, axes: tuple[int, ...]) -> StoredTensor:
        """Return it with its axes in another order; one that has other axes stays as it is, and fits nowhere."""
        if len(axes) != len(self.shape):
            return self
        return StoredTensor(tuple(self.shape[axis] for axis in axes), self.dtype, lambda: self.read().transpose(axes))

    def as_kernel(self) -> StoredTensor:
        """Return a matrix as the kernel of a 1 x 1 convolution, anything else as it is."""
        if len(self.shape) != 2:
            return self
        return StoredTensor((*self.shape, 1, 1), self.dtype, lambda: self.read()[:, :, None, None])


def read_values(tensors: Mapping[str, StoredTensor], path: Path) -> Weights:
    """Read the weights of an Xception.

    Args:
        tensors: All that the network has, by the names of this project; those of the classifier may be missing.
        path: The file, for messages.

    Returns:
        The weights, float32.

    Raises:
        ValueError: If a shape or type is another one, or a number is not finite as float32, or a variance is negative.
    """
    shapes = parameter_shapes(_class_count(tensors, path))
    refuse_differences([name for name in shapes if name not in tensors and not is_classifier(name)], [], path)
    for name, tensor in tensors.items():
        if tensor.shape != shapes[name]:
            raise ValueError(f"{path} does not fit: {name} has shape {tensor.shape} instead of {shapes[name]}")
    for name, tensor in tensors.items():
        if tensor.dtype not in _LAYOUTS:
            wanted = ", ".join(_LAYOUTS)
            raise ValueError(
                f"{path} holds values in {name} that are no finite numbers of one of {wanted}, but {tensor.dtype}"
            )
    weights = {}
    for name, tensor in tensors.items():
        try:
            values = tensor.read()
        except ValueError as error:
            raise ValueError(f"cannot read {name} of {path}: {error}") from error
        with np.errstate(over="ignore", invalid="ignore"):
            weights[name] = np.ascontiguousarray(values, np.float32)
    check_values(weights, path)
    return weights


def check_values(weights: Weights, path: Path) -> None:
    """Raise ValueError for a number that is not finite, and for a negative variance."""
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{path} holds values in {name} that are no finite numbers in float32")
        if name.endswith(".moving_variance") and value.min() < 0:
            raise ValueError(f"{path} holds a negative variance in {name}")


def add_once(found: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Add pairs to a dict and return it; raise ValueError for a name that comes twice, of which one would be lost."""
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it holds {shown(str(name))} twice")
        found[name] = value
    return found


def decode(content: bytes, dtype: str, byte_order: str = "<") -> np.ndarray:
    """Return the numbers of a file, in one dimension; those of bfloat16 as float32, which holds them exactly.

    Args:
        content: Whole numbers.
        dtype: One of the types that are taken.
        byte_order: "<" or ">".
    """
    numbers = np.frombuffer(content, f"{byte_order}{_LAYOUTS[dtype]}")
    return (numbers.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else numbers


def refuse_swelling(declared: int, held: int, path: Path) -> None:
    """Raise ValueError if a file declares much more than it can hold, both in bytes."""
    if declared > _LARGEST_RATIO * held:
        raise ValueError(f"{path} declares {declared:,} bytes, but has {held:,}: it is damaged, or no file of weights")


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip file that does not swell when it is unpacked, to be closed by the caller.

    Raises:
        ValueError: If it does.
        zipfile.BadZipFile: If it is none.
    """
    archive = zipfile.ZipFile(path)
    try:
        refuse_swelling(sum(entry.file_size for entry in archive.infolist()), path.stat().st_size, path)
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise ValueError(f"{path} holds {shown(next(name for name in names if names.count(name) > 1))} twice")
    except BaseException:
        archive.close()
        raise
    return archive


def _class_count(tensors: Mapping[str, StoredTensor], path: Path) -> int:
    """Return the number of classes that the classifier declares, 1 where there is none."""
    names = [name for name in tensors if is_classifier(name)]
    if not names:
        return 1
    refuse_differences([name for name in ("fc.weight", "fc.bias") if name not in names], [], path)
    shape = tensors["fc.bias"].shape
    if len(shape) != 1 or math.prod(shape) < 1:
        raise ValueError(f"{path} does not fit: fc.bias has shape {shape} instead of one number a class")
    return shape[0]
