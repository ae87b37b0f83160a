"""A rank that shares memory with others, without MindSpore.

Usage: memory_rank.py LIBRARY PATH RANK RANKS ACT

It joins, says so, and waits for a line before it does what ACT names: "means" checks means of random tensors, "wait"
prints what an operator says that waits for another rank, "leave a child" forks a child and sleeps as that does.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Sequence

import numpy as np

ROUNDS = 6
MOST_VALUES = 300_000  # more than two chunks


class Rank:
    """A rank of those that share a file.

    Args:
        library: The operators.
        path: The file.
        rank: Its number.
        ranks: How many there are.
    """

    def __init__(self, library: str, path: str, rank: int, ranks: int):
        self.functions = ctypes.CDLL(library)
        self.functions.XceptionOperatorFailure.restype = ctypes.c_char_p
        message = ctypes.create_string_buffer(500)
        failed = self.functions.XceptionJoin(path.encode(), rank, ranks, message, ctypes.c_int64(len(message)))
        assert not failed, message.value
        assert self.functions.XceptionRanks() == ranks

    def means(self, tensors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Call the operator as MindSpore does."""
        means = [np.full_like(tensor, np.nan) for tensor in tensors]
        both = [*tensors, *means]
        pointers = (ctypes.c_void_p * len(both))(*(each.ctypes.data for each in both))
        dimensions = (ctypes.c_int * len(both))(*(each.ndim for each in both))
        shapes = [(ctypes.c_int64 * each.ndim)(*each.shape) for each in both]
        sizes = (ctypes.c_void_p * len(both))(*(ctypes.addressof(shape) for shape in shapes))
        types = (ctypes.c_char_p * len(both))(*(str(each.dtype).encode() for each in both))
        if self.functions.MeanOverRanks(len(both), pointers, dimensions, sizes, types, None, None):
            raise ValueError(self.functions.XceptionOperatorFailure().decode())
        return means


def check_means(rank: Rank, number: int, ranks: int) -> None:
    """Compare means of random tensors with numpy's, to the bit."""
    for seed in range(ROUNDS):
        random = np.random.default_rng(seed)
        shapes = [tuple(random.integers(1, 60, random.integers(0, 4))) for _ in range(random.integers(1, 30))]
        shapes[0] = (int(random.integers(1, MOST_VALUES)),)
        scale = 10.0 ** random.integers(-30, 30)
        everyone = [[np.array(random.normal(0, scale, shape), np.float32) for shape in shapes] for _ in range(ranks)]
        for found, *values in zip(rank.means(everyone[number]), *everyone, strict=True):
            total = values[0].copy()
            for value in values[1:]:
                total += value
            assert np.array_equal(found, total * (np.float32(1) / np.float32(ranks))), (seed, found.shape)


def main(library: str, path: str, number: str, ranks: str, act: str) -> None:
    rank = Rank(library, path, int(number), int(ranks))
    print("joined", flush=True)
    sys.stdin.readline()
    if act == "means":
        check_means(rank, int(number), int(ranks))
    elif act == "wait":
        try:
            rank.means([np.zeros(3, np.float32)])
        except ValueError as error:
            print(error)
    else:
        child = os.fork()
        if child:
            print(child, flush=True)
        time.sleep(100)


if __name__ == "__main__":
    main(*sys.argv[1:])
