"""Classes have the names of the nearest source, and are found by name or number."""

from __future__ import annotations

import pytest

from src.prediction.class_names import find_class, names_for_people


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
