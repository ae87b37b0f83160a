"""Images that are there several times, byte for byte: only what could be equal is read in full."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

_TAIL = 4096  # bytes; the heads of a camera's files are alike, their ends are not


def find_duplicates(paths: Iterable[str]) -> list[list[str]]:
    """Find the files that have the same bytes.

    Args:
        paths: The files; what is no regular file is nobody's duplicate.

    Returns:
        The groups of two and more, in the order of the paths.

    Raises:
        OSError: If a file cannot be read.
    """
    groups = [[path for path in paths if os.path.isfile(path)]]
    for key in (os.path.getsize, _tail, _content):
        groups = [part for group in groups for part in _equal(group, key)]
    return groups


def _equal(paths: Sequence[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    found: dict[Hashable, list[str]] = defaultdict(list)
    for path in paths:
        found[key(path)].append(path)
    return [group for group in found.values() if len(group) > 1]


def _tail(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - _TAIL, 0))
        return hashlib.sha256(file.read()).digest()


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()
