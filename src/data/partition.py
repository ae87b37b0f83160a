"""Which images are trained on and which are held out, decided by their names: an image stays where it is."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from src.metadata.class_list import same_name

Part = dict[str, list[str]]  # paths by class


def divide(
    images: Mapping[str, Sequence[str]],
    name_of: Callable[[str], str],
    shares: Sequence[float],
    alike: Iterable[Sequence[str]] = (),
) -> list[Part]:
    """Divide images into those to train on and the held-out ones, class by class.

    The SHA-256 of an image's name is read as a number from 0 to 1, and the shares are ranges of it: an image that is
    added changes the part of no other, so that each class is divided as near to the shares as chance has it. Two rules
    are above that: images that are alike go where the first of them by name goes, and of each class one image is
    trained on and one is in each held-out part, where there are so many; the nearest number fills an empty part.

    Args:
        images: Paths of the images by class.
        name_of: Gives the name of an image from its path, the same on every machine.
        shares: Share of each held-out part, above 0, together below 1.
        alike: Images that must not be parted, each a list of paths; lists may overlap.

    Returns:
        The images to train on, then each held-out part; all with every class, perhaps empty, in the same order.
    """
    bounds = [sum(shares), *(sum(shares[:number]) for number in range(len(shares)))]  # where each part begins
    leaders = _leaders(alike, name_of)
    positions: dict[str, float] = {}
    classes_of: dict[str, set[str]] = defaultdict(set)
    for class_name, paths in images.items():
        for path in paths:
            leader = leaders.get(path, path)
            classes_of[leader].add(class_name)
            positions[leader] = _position(name_of(leader))
    parts = {leader: _part_at(position, bounds) for leader, position in positions.items()}
    for class_name, paths in images.items():
        units = {leaders.get(path, path) for path in paths}
        own = sorted(unit for unit in units if classes_of[unit] == {class_name})
        for part, start in enumerate(bounds):
            _fill(part, start, units, own, (parts, positions))
    divided: list[Part] = [{name: [] for name in images} for _ in bounds]
    for class_name, paths in images.items():
        for path in paths:
            divided[parts[leaders.get(path, path)]][class_name].append(path)
    return divided


def _position(name: str) -> float:
    digest = hashlib.sha256(same_name(name).encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _part_at(position: float, bounds: Sequence[float]) -> int:
    if position >= bounds[0]:
        return 0
    return max(number for number in range(1, len(bounds)) if bounds[number] <= position)


def _fill(
    part: int,
    start: float,
    units: Iterable[str],
    own: Sequence[str],
    chosen: tuple[dict[str, int], Mapping[str, float]],
) -> None:
    """Give an empty part of a class the nearest image of a part with several, of those that are in no other class."""
    parts, positions = chosen
    held = Counter(parts[unit] for unit in units)
    rich = [unit for unit in own if held[parts[unit]] > (part > 0)]  # training takes the last one too
    if not held[part] and rich:
        parts[min(rich, key=lambda unit: abs(positions[unit] - start))] = part


def _leaders(alike: Iterable[Sequence[str]], name_of: Callable[[str], str]) -> dict[str, str]:
    """Return for each image that has its like the first of them all by name."""
    parents: dict[str, str] = {}

    def root(path: str) -> str:
        while parents.setdefault(path, path) != path:
            parents[path] = parents[parents[path]]
            path = parents[path]
        return path

    for group in alike:
        for path in group[1:]:
            parents[root(path)] = root(group[0])
    members: dict[str, list[str]] = defaultdict(list)
    for path in parents:
        members[root(path)].append(path)
    return {path: min(group, key=name_of) for group in members.values() for path in group}
