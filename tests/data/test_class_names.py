"""The names of ImageNet's classes are there, in their order."""

from __future__ import annotations

from src.data.class_names import imagenet_names


def test_imagenets_names_are_in_the_order_of_its_sorted_ids():
    names = imagenet_names()
    ids = list(names)
    assert len(ids) == 1000 and ids == sorted(ids) and all(names.values())
    known = {
        0: ("n01440764", "tench"),
        1: ("n01443537", "goldfish"),
        207: ("n02099601", "golden retriever"),
        281: ("n02123045", "tabby"),
        999: ("n15075141", "toilet tissue"),
    }
    for label, (wordnet_id, word) in known.items():
        assert ids[label] == wordnet_id and names[wordnet_id].split(", ")[0] == word
