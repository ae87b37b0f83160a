"""Classes have the names of the nearest source, and are found by name or number."""

from __future__ import annotations

import pytest

from src.prediction.class_names import find_class, find_class_names


def test_class_names_come_from_the_nearest_source(tmp_path):
    weights = tmp_path / "a.ckpt"
    assert find_class_names(2, weights) == ["0", "1"]
    assert find_class_names(1000, weights)[1] == "goldfish, Carassius auratus"
    (tmp_path / "class_names.txt").write_text("cat\nn01443537\n", encoding="utf-8")
    assert find_class_names(2, weights) == ["cat", "goldfish, Carassius auratus"]
    given = tmp_path / "given.txt"
    given.write_text("\ufeffKatze\r\n猫 \u2028 b", encoding="utf-8")
    assert find_class_names(2, weights, given) == ["Katze", "猫 \u2028 b"]
    with pytest.raises(ValueError, match=r"class_names.txt has 2 names, but the network has 3 classes"):
        find_class_names(3, weights)
    given.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"given.txt is no UTF-8 text"):
        find_class_names(1, weights, given)


def test_a_class_is_found_by_name_then_by_number():
    names = ["crane", "0", "crane", "2"]
    assert [find_class(word, names) for word in ("0", "1", "2")] == [1, 1, 3]
    for word, message in (("crane", "classes 0, 2: give a number"), ("4", "no class 4.* from 0 to 3"), ("-1", "no")):
        with pytest.raises(ValueError, match=message):
            find_class(word, names)
