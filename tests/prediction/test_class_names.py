"""Classes have the names of the nearest source, and are found by name or number."""

from __future__ import annotations

import pytest

from src.prediction.class_names import find_class, imagenet_names, names_for_people


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


def test_names_are_those_of_the_weights_then_imagenets_then_numbers():
    assert names_for_people(2, []) == ["0", "1"]
    assert names_for_people(1000, [])[1] == "goldfish, Carassius auratus"
    assert names_for_people(2, ["cat", "n01443537"]) == ["cat", "goldfish, Carassius auratus"]


def test_a_class_is_found_by_name_then_by_number():
    names = ["crane", "0", "crane", "2"]
    assert [find_class(word, names) for word in ("0", "1", "2")] == [1, 1, 3]
    for word, message in (("crane", "classes 0, 2: give a number"), ("4", "no class 4.* from 0 to 3"), ("-1", "no")):
        with pytest.raises(ValueError, match=message):
            find_class(word, names)
