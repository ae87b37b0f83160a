"""Files of class names, however an editor wrote them, and the first class in which two lists differ."""

from __future__ import annotations

import pytest

from src.metadata.class_list import describe_difference, read_class_list


def test_byte_order_marks_line_ends_and_blank_last_lines_are_no_names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffKatze\r\n猫 \u2028 b\n\n", encoding="utf-8")
    assert read_class_list(path) == ["Katze", "猫 \u2028 b"]


def test_what_is_no_utf_8_is_one_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"names\.txt is no UTF-8 text"):
        read_class_list(path)


@pytest.mark.parametrize(
    ("theirs", "ours", "difference"),
    [
        (["0", "1", "2"], ["1", "2", "7"], "class 0 is '0' there and '1' here"),
        (["a", "b"], ["a", "b", "c"], "class 2 is missing there and 'c' here"),
        (["a", "b"], ["a"], "class 1 is 'b' there and missing here"),
        (["a", "b"], ["b", "a"], "class 0 is 'a' there and 'b' here"),
        (["caf\u00e9", "b"], ["cafe\u0301", "b"], ""),
        (["a\nb"], ["a b"], r"class 0 is 'a\nb' there and 'a b' here"),
        ([], [], ""),
    ],
)
def test_the_first_difference_of_two_lists_is_told(theirs, ours, difference):
    assert describe_difference(theirs, ours) == difference


def test_a_long_name_stays_short_in_a_message():
    assert len(describe_difference(["x" * 9999], ["y" * 9999])) < 200
