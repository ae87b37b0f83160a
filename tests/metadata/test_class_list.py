"""Files of class names, however an editor wrote them."""

from __future__ import annotations

import pytest

from src.metadata.class_list import read_class_list


def test_byte_order_marks_line_ends_and_blank_last_lines_are_no_names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffKatze\r\n猫 \u2028 b\n\n", encoding="utf-8")
    assert read_class_list(path) == ["Katze", "猫 \u2028 b"]


def test_what_is_no_utf_8_is_one_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"names\.txt is no UTF-8 text"):
        read_class_list(path)
