"""Run all operators of LIBRARY, built with address sanitizer, on tensors of many shapes; takes no MindSpore.

All of them once more as a user who may start no thread, with the same results.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import threading
from collections.abc import Iterator, Sequence

import numpy as np

Shape = tuple[int, ...]


def call(
    function: ctypes._CFuncPtr, inputs: Sequence[Shape], outputs: Sequence[Shape], random: np.random.Generator
) -> list[np.ndarray]:
    """Call an operator as MindSpore does, with random inputs; check that it writes all of its outputs, return them."""
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
    return tensors[len(inputs) :]


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


def results(library: ctypes.CDLL, tries: int) -> list[np.ndarray]:
    """Return what all operators make of the first `tries` tensors."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(tries):
        x = tuple(int(size) for size in random.integers(1, [4, 6, 30, 30]))
        for name, inputs, outputs in cases(x):
            found += call(library[name], inputs, outputs, random)
    return found


def forbid_threads() -> None:
    """Let this process start no more threads; root has no such limit, so it becomes another user first."""
    if os.getuid() == 0:
        os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return
    raise AssertionError("a thread could be started")


def main(path: str) -> None:
    library = ctypes.CDLL(path)
    with_threads = results(library, 60)
    forbid_threads()
    without = results(library, 10)
    for ours, expected in zip(without, with_threads[: len(without)], strict=True):
        assert np.array_equal(ours, expected)


if __name__ == "__main__":
    main(*sys.argv[1:])
