"""The network in C++ for evaluation and prediction on CPU: no graph to compile, its weights folded and packed once."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mindspore import nn

from src.cpu.cells import check_batch_norm
from src.Xception import FEATURES, POOL_PADDINGS, Xception

if TYPE_CHECKING:
    from mindspore import Parameter

_MESSAGE_BYTES = 1024


class CpuClassifier:
    """Maps images to logits, or to features, by the weights of the moment at which it is made.

    Args:
        library: The operators in C++, as build_cpu_library of src.cpu.library returns them.
        network: The network, in any mode; what it holds later does not count. One without classifier gives its features
            as logits, so it must average them.
        is_half: Whether to compute in bfloat16; settle_precision of src.cpu.precision tells whether it can.

    Raises:
        ValueError: If the library cannot be used, or refuses the network, or a batch norm has another epsilon or
            momentum than the operators.
    """

    def __init__(self, library: Path, network: Xception, is_half: bool = False):
        for _, cell in network.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                check_batch_norm(cell)
        self._functions = _open(library)
        if not network.include_top and network.pooling != "avg":
            raise ValueError(f"the network in C++ averages its features, but pooling is {network.pooling}: use avg")
        self.num_classes = network.num_classes if network.include_top else FEATURES
        # Views of MindSpore's memory, which the call copies from.
        arrays = [np.ascontiguousarray(value.asnumpy(), np.float32) for value in _parameters(network)]
        if not network.include_top:  # a classifier whose logits are what it sees
            arrays += [np.eye(FEATURES, dtype=np.float32), np.zeros(FEATURES, np.float32)]
        pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        self._handle = self._functions.XceptionCreate(
            is_half,
            network.pool_padding == POOL_PADDINGS[1],
            self.num_classes,
            pointers,
            message,
            len(message),
        )
        if not self._handle:
            raise ValueError(f"the network in C++ cannot be made: {_text(message)}")
        self._close = weakref.finalize(self, self._functions.XceptionDestroy, self._handle)
        self._close.atexit = False  # the process ends with all that it holds

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of a batch, float32 (N, classes), or the features (N, 2048) where there is no classifier.

        Args:
            images: Uint8 (N, height, width, 3), RGB, or float32 (N, 3, height, width), normalised; each side at least
                71.

        Raises:
            ValueError: If the images are anything else, or the network is closed or fails.
        """
        is_bytes = images.dtype == np.uint8
        channels = images.shape[3 if is_bytes else 1] if images.ndim == 4 else 0
        if channels != 3 or not (is_bytes or images.dtype == np.float32):
            raise ValueError(f"the network takes uint8 (N, H, W, 3) or float32 (N, 3, H, W), not {_shown(images)}")
        if not self._close.alive:
            raise ValueError("the network in C++ is closed: make another one")
        images = np.ascontiguousarray(images)
        height, width = images.shape[1:3] if is_bytes else images.shape[2:]
        logits = np.empty((len(images), self.num_classes), np.float32)
        if not len(images):
            return logits
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        status = self._functions.XceptionRun(
            self._handle,
            images.ctypes.data,
            is_bytes,
            *(len(images), height, width),
            logits.ctypes.data,
            message,
            len(message),
        )
        if status:
            raise ValueError(f"the network in C++ fails on {_shown(images)}: {_text(message)}")
        return logits

    def close(self) -> None:
        """Give its memory back; it cannot be run any more."""
        self._close()


def _open(library: Path) -> ctypes.CDLL:
    """Load the library, with what oneDNN MindSpore has loaded already."""
    try:
        functions = ctypes.CDLL(str(library))
        index, text, pointer = ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
        functions.XceptionCreate.argtypes = [ctypes.c_int, ctypes.c_int, index, pointer, text, index]
        functions.XceptionCreate.restype = pointer
        functions.XceptionRun.argtypes = [pointer, pointer, ctypes.c_int, index, index, index, pointer, text, index]
        functions.XceptionRun.restype = ctypes.c_int
        functions.XceptionDestroy.argtypes = [pointer]
        functions.XceptionDestroy.restype = None
    except (OSError, AttributeError) as error:
        raise ValueError(f"{library} cannot be used: {error}; remove it, and it is compiled anew") from error
    return functions


def _parameters(network: Xception) -> Iterable[Parameter]:
    """Return the parameters in the order that the C++ has them: the network's own, without its dropout's."""
    return [each for each in network.get_parameters() if ".dropout." not in f".{each.name}"]


def _text(message: ctypes.Array) -> str:
    return message.value.decode(errors="replace") or "it does not say why"


def _shown(images: np.ndarray) -> str:
    return f"{images.dtype} {images.shape}"
