"""Run all operators of LIBRARY, built with address sanitizer, on tensors of many shapes; takes no MindSpore."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence

import numpy as np

Shape = tuple[int, ...]


def call(function: ctypes._CFuncPtr, inputs: Sequence[Shape], outputs: Sequence[Shape], random: np.random.Generator):
    """Call an operator as MindSpore does, with random inputs, and check that it writes all of its outputs."""
    shapes = [*inputs, *outputs]
    tensors = [random.uniform(0, 1, shape).astype(np.float32) for shape in inputs]  # also variances, so not negative
    tensors += [np.full(shape, np.nan, np.float32) for shape in outputs]
    sizes = [np.array(shape, np.int64) for shape in shapes]
    pointers = [
        (ctypes.c_void_p * len(shapes))(*(array.ctypes.data for array in arrays)) for arrays in (tensors, sizes)
    ]
    ranks = (ctypes.c_int * len(shapes))(*map(len, shapes))
    assert function(len(shapes), pointers[0], ranks, pointers[1], None, None, None) == 0
    for tensor in tensors[len(inputs) :]:
        assert np.isfinite(tensor).all(), function.__name__


def cases(x: Shape) -> Iterator[tuple[str, Sequence[Shape], Sequence[Shape]]]:
    """Yield the operators that take a tensor (N, C, H, W), with the shapes of their inputs and outputs."""
    channels = (x[1],)
    weight = (x[1], 1, 3, 3)
    pooled = (*x[:2], (x[2] + 1) // 2, (x[3] + 1) // 2)
    yield "BatchNormForward", [x, *[channels] * 4], [x, *[channels] * 4]
    yield "BatchNormBackward", [x, *[channels] * 3, x], [x, *[channels] * 2]
    for name in ("Depthwise", "ReluDepthwise"):
        yield f"{name}Forward", [x, weight], [x]
        yield f"{name}Backward", [x, weight, x], [x, weight]
    yield "BatchNormReluDepthwiseForward", [x, *[channels] * 2, weight, *[channels] * 2], [x, *[channels] * 4]
    yield (
        "BatchNormReluDepthwiseBackward",
        [x, *[channels] * 2, weight, *[channels] * 2, x],
        [x, *[channels] * 2, weight],
    )
    yield "MaxPoolForward", [x], [pooled]
    yield "MaxPoolBackward", [x, pooled], [x]
    for kernel, stride in [(3, 1), (3, 2), (1, 2)]:
        if min(x[2:]) >= kernel:
            sizes = [(size - kernel) // stride + 1 for size in x[2:]]
            unfolded = (x[0], x[1] * kernel**2, *sizes)
            yield f"Unfold{kernel}By{stride}", [x], [unfolded]
            yield f"Unfold{kernel}By{stride}", [x, unfolded], [unfolded]
            yield f"Fold{kernel}By{stride}", [x, unfolded], [x]


def main(path: str) -> None:
    library, random = ctypes.CDLL(path), np.random.default_rng(0)
    for _ in range(60):
        x = tuple(int(size) for size in random.integers(1, [4, 6, 30, 30]))
        for name, inputs, outputs in cases(x):
            call(library[name], inputs, outputs, random)


if __name__ == "__main__":
    main(*sys.argv[1:])
