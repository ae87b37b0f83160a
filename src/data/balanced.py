"""The order of an epoch in which all classes are equally frequent, however many images each has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def balanced_order(counts: Sequence[int], device_num: int, seed: int) -> np.ndarray:
    """Draw the images of an epoch, of each class as many, and within a class no image again before all others.

    Args:
        counts: Number of images of each class, 1 or more, which are numbered class after class.
        device_num: Number of ranks, which take turns in the order.
        seed: What the draw follows from.

    Returns:
        Int64, the numbers of the images: as many as there are, or up to device_num - 1 more, the same for every rank.
    """
    generator = np.random.default_rng(seed)
    total = -(-sum(counts) // device_num) * device_num
    shares = np.full(len(counts), total // len(counts))
    shares[generator.permutation(len(counts))[: total % len(counts)]] += 1
    starts = np.cumsum([0, *counts])
    drawn = []
    for start, count, share in zip(starts, counts, shares, strict=False):
        rounds = [generator.permutation(count) for _ in range(-(-share // count))]
        drawn.append(start + np.concatenate(rounds)[:share] if rounds else np.zeros(0, np.int64))
    return generator.permutation(np.concatenate(drawn))
