"""Names of the classes: from a file, as training wrote them, ImageNet's, or else the numbers."""

from __future__ import annotations

from pathlib import Path

from src.checkpoints.names import CLASS_NAMES
from src.data.class_names import imagenet_names, read_class_names


def find_class_names(num_classes: int, weights: Path, given: Path | None = None) -> list[str]:
    """Return a name for every class.

    Args:
        num_classes: Number of classes, 1 or more.
        weights: File of the network; a `class_names.txt` beside it is used if no other is given. Folders that are named
            by WordNet ids, as ImageNet's are, get their words.
        given: File of a name a line.

    Returns:
        The names of that file; without one ImageNet's for 1000 classes, else the numbers.

    Raises:
        ValueError: If a file has another number of names, or is no UTF-8 text.
        OSError: If it cannot be read.
    """
    beside = weights.with_name(CLASS_NAMES)
    path = given or (beside if beside.exists() else None)
    if path is None:
        return list(imagenet_names().values()) if num_classes == 1000 else [str(label) for label in range(num_classes)]
    names = read_class_names(path)
    if len(names) != num_classes:
        raise ValueError(
            f"{path} has {len(names)} names, but the network has {num_classes} classes: "
            f"give another file with --class_names"
        )
    words = imagenet_names()
    return [words.get(name, name) for name in names]


def find_class(name: str, class_names: list[str]) -> int:
    """Return the number of a class.

    Args:
        name: Its name, or its number in decimal digits; a name comes first.
        class_names: The names of all classes.

    Raises:
        ValueError: If there is no such class, or more than one.
    """
    found = [label for label, known in enumerate(class_names) if known == name]
    if len(found) > 1:
        raise ValueError(f"{name} is the name of the classes {', '.join(map(str, found))}: give a number")
    if found:
        return found[0]
    if name.isdecimal() and int(name) < len(class_names):
        return int(name)
    raise ValueError(f"there is no class {name}: give a number from 0 to {len(class_names) - 1}, or a class name")
