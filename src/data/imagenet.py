"""The classes of ImageNet-1k."""

from __future__ import annotations

from pathlib import Path

from src.metadata.class_list import read_class_list

_FILE = Path(__file__).with_name("imagenet_classes.txt")


def imagenet_names() -> dict[str, str]:
    """Return the words for each WordNet id of ImageNet-1k, in the order of the classes."""
    lines = (line for line in read_class_list(_FILE) if not line.startswith("#"))
    return {wordnet_id: words for wordnet_id, _, words in (line.partition(" ") for line in lines)}
