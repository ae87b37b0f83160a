"""Names of the classes: from a file, as training wrote them, ImageNet's, or else the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from src.data.class_names import imagenet_names


def names_for_people(num_classes: int, class_names: Sequence[str]) -> list[str]:
    """Return a name for every class, as it is shown.

    Args:
        num_classes: Number of classes, 1 or more.
        class_names: The names of the classes; none where they are not known. WordNet ids, as ImageNet's folders are
            named, become their words.

    Returns:
        These names; without them ImageNet's for 1000 classes, else the numbers.
    """
    words = imagenet_names()
    if class_names:
        return [words.get(name, name) for name in class_names]
    return list(words.values()) if num_classes == 1000 else [str(label) for label in range(num_classes)]


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
