"""The pickles in PyTorch's files, read without PyTorch: nothing in them is run, whatever they hold besides tensors.

A pickle is a program that builds objects. Here it meets a closed list of functions of this module; any other class or
function becomes a Placeholder, which takes everything and does nothing. So checkpoints with settings, scalars of NumPy
or optimisers of any kind can be read.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tools.weight_formats.tensors import StoredTensor, add_once

# The element types that PyTorch's classes of storage are called after, and their bytes.
_STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
}


class Placeholder:
    """What stands for an object of a class, or a result of a function, that this module does not know.

    `origin` is the full name of that class or function.
    """

    origin = ""

    def __new__(cls, *_: Any, **__: Any) -> Placeholder:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any):
        pass

    def __call__(self, *_: Any, **__: Any) -> Placeholder:
        return self

    def append(self, _: Any) -> None:
        pass

    def extend(self, _: Any) -> None:
        pass


class Namespace(Placeholder):
    """What stands for an argparse.Namespace, in which programs keep their settings: its values by their names."""

    origin = "argparse.Namespace"
    values: dict[Any, Any]

    def __new__(cls, *_: Any, **__: Any) -> Namespace:
        made = object.__new__(cls)
        made.values = {}
        return made


@dataclass(frozen=True)
class Storage:
    """Numbers in a row: their type, how many they are, and what reads them."""

    dtype: str
    numbers: int
    read: Callable[[], np.ndarray]


class InertUnpickler(pickle._Unpickler):
    """Runs a program of pickle's; in Python, as pickle's own in C reserves any memory that a file asks for.

    Args:
        file: The program.
        storage: Returns a storage by its type's name and bytes, its key and how many numbers it has.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: io.BytesIO, storage: Callable[[str, int, str, int], Storage]):
        super().__init__(file, encoding="latin1")  # Python 2's names; no bytes fail to be read
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function; nothing is looked up outside this module."""
        origin = f"{module}.{name}"
        if origin in _FUNCTIONS:
            return _FUNCTIONS[origin]
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        return type("Placeholder", (Placeholder,), {"origin": origin})

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that a file refers to."""
        _, kind, key, _, numbers, *view = pid
        if not isinstance(kind, tuple) or any(part is not None for part in view):
            return None  # of a type that no weights have; what is made of it is a Placeholder
        if type(key) is not str or type(numbers) is not int or numbers < 0:
            raise ValueError("it refers to no storage")
        dtype, size = kind
        return self.storage(dtype, size, key, numbers)

    def load_state(self) -> None:
        """Leave out what an object is to be changed by: nothing but the settings of a program is of use."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Namespace) and isinstance(state, dict):
            self.stack[-1].values = state

    def load_items(self) -> None:
        """Put pairs into a dict."""
        items = self.pop_mark()
        _put(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def load_item(self) -> None:
        """Put one pair into a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [(key, value)])

    dispatch[pickle.BUILD[0]] = load_state
    dispatch[pickle.SETITEMS[0]] = load_items
    dispatch[pickle.SETITEM[0]] = load_item
    for _code in (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.BYTEARRAY8, pickle.NEXT_BUFFER):
        del dispatch[_code[0]]  # a registry of the process, and memory by a mere number


def _put(target: Any, pairs: Iterable[tuple[Any, Any]]) -> None:
    if not isinstance(target, Placeholder):
        add_once(target, pairs)


def _dict(pairs: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
    return add_once({}, pairs)


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """Return a view of a storage, as torch._utils._rebuild_tensor does."""
    if not isinstance(storage, Storage):
        return Placeholder()
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise ValueError("it has a tensor of no shape")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if count and last >= storage.numbers:
        raise ValueError(f"it has a tensor of shape {shape} in a storage of {storage.numbers} numbers")

    def read() -> np.ndarray:
        if count > storage.numbers:
            raise ValueError(f"it repeats {storage.numbers} numbers in the shape {shape}: save tensor.contiguous()")
        numbers = storage.read()
        steps = [stride * numbers.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False).copy()

    return StoredTensor(shape, storage.dtype, read)


def _first(value: Any, *_: Any) -> Any:
    """Return the tensor of a torch.nn.Parameter."""
    return value


def _of_type(function: Any, _: Any, arguments: Iterable[Any], *__: Any) -> Any:
    """Return a tensor with attributes, without these."""
    return function(*arguments)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": Namespace,
    "collections.OrderedDict": _dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _of_type,
}
