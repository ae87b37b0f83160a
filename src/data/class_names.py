"""Names of classes in text files: one a line, as training writes them, and those of ImageNet-1k."""

from __future__ import annotations

from pathlib import Path

_IMAGENET = Path(__file__).with_name("imagenet_classes.txt")


def read_class_names(path: Path) -> list[str]:
    """Return the names in a file, one a line; empty lines at its end are none.

    Args:
        path: UTF-8 text, with or without a byte-order mark.

    Raises:
        ValueError: If it is no UTF-8 text.
        OSError: If it cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: class names stand in a text file, one a line") from error
    return [line.rstrip("\r") for line in text.rstrip("\r\n").split("\n")]


def imagenet_names() -> dict[str, str]:
    """Return the words for each WordNet id of ImageNet-1k, in the order of the classes."""
    lines = (line for line in read_class_names(_IMAGENET) if not line.startswith("#"))
    return {wordnet_id: words for wordnet_id, _, words in (line.partition(" ") for line in lines)}
