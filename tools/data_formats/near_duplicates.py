"""Photographs that look alike, such as the same one stored smaller or again as JPEG: by a hash of their gradients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from src.common.progress import Progress

HASH_BITS = 64
_SIDE = 8


def difference_hash(path: str) -> int | None:
    """Return 64 bits, each whether the grey image of 9 x 8 pixels becomes brighter from a pixel to its right neighbour.

    Returns:
        The hash; None if the image cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.draft("L", (_SIDE * 8, _SIDE * 8))
            small = np.asarray(image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    except Exception:  # noqa: BLE001 - Pillow raises errors of any kind for damaged files
        return None
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def find_near_duplicates(paths: Sequence[str], most: int) -> tuple[list[list[str]], int]:
    """Find the images whose hashes differ in few bits.

    Args:
        paths: The images.
        most: Most bits that may differ, 0 to 63.

    Returns:
        Groups of images that are alike, which may overlap; and the number of images that cannot be decoded.
    """
    found: dict[int, list[str]] = defaultdict(list)
    undecoded = 0
    with Progress(len(paths), "compare") as progress:
        for path in paths:
            value = difference_hash(path)
            if value is None:
                undecoded += 1
            else:
                found[value].append(path)
            progress.update(1)
    groups = [group for group in found.values() if len(group) > 1]
    return groups + [[*found[one], *found[other]] for one, other in _near_pairs(list(found), most)], undecoded


def _near_pairs(hashes: Sequence[int], most: int) -> set[tuple[int, int]]:
    """Return the pairs of different hashes that differ in few bits.

    Where at most n bits differ, one of n + 1 bands of bits is equal: only hashes that share a band are compared.
    """
    pairs: set[tuple[int, int]] = set()
    edges = [number * HASH_BITS // (most + 1) for number in range(most + 2)]
    for start, end in pairwise(edges):
        bands: dict[int, list[int]] = defaultdict(list)
        for value in hashes:
            bands[value >> start & (1 << end - start) - 1].append(value)
        for members in bands.values():
            values = np.array(members, np.uint64)
            for number, value in enumerate(members[:-1], 1):
                different = np.unpackbits((values[number:] ^ np.uint64(value)).view(np.uint8).reshape(-1, 8), axis=1)
                pairs.update((value, members[number + other]) for other in np.flatnonzero(different.sum(1) <= most))
    return pairs
