"""A label file is read as it was meant, and what cannot be read is told."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.evaluation.label_file import Labels, format_labels, parse_labels

paths = st.builds(
    "{}{}".format,
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=()), max_size=20),
    st.sampled_from([".jpg", ".JPEG", "/a.b.png"]),
)


@given(st.dictionaries(paths, st.integers(0, 999_999_999)))
@example({" my cats/a: 1.jpg": 3, "b 2.jpg": 0, "c:4.jpg": 1, "\udcff\x1c\u2028.jpg": 7})
def test_what_was_written_is_read(by_path):
    assert parse_labels(format_labels(by_path)) == Labels(by_path, ())


@given(st.dictionaries(paths, st.integers(0, 999), min_size=1), st.sampled_from([" ", "\t", " : ", ": ", " \t "]))
def test_columns_may_be_apart_in_any_way(by_path, separator):
    text = "\r\n".join(f"{path}{separator}{label} " for path, label in by_path.items())
    assert parse_labels(text) == Labels(by_path, ())


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_read_without_an_error_and_no_line_is_lost(text):
    labels = parse_labels(text)
    lines = [line for line in text.split("\n") if line.strip()]
    assert len(labels.by_path) + len(labels.malformed) == len(lines)
    assert all(label >= 0 and "\n" not in path for path, label in labels.by_path.items())


@pytest.mark.parametrize(
    "line", ["a.jpg", "a.jpg:", "a.jpg:-1", "a.jpg:1.5", "a.jpg:cat", ":3", "3", "a.jpg:²", "a.jpg:" + "9" * 5000]
)
def test_a_malformed_line_is_told_with_its_number(line):
    labels = parse_labels(f"good.jpg:1\n\n{line}\n")
    assert labels.by_path == {"good.jpg": 1}
    (message,) = labels.malformed
    assert message.startswith(f"line 3 of the label file is not 'path:label': {line[:90]}")
    assert len(message) < 200


def test_the_first_of_two_lines_for_an_image_counts():
    labels = parse_labels("a.jpg:1\na.jpg 2\n")
    assert labels == Labels({"a.jpg": 1}, ("line 2 of the label file names a.jpg again",))


@pytest.mark.parametrize("path", ["a\nb.jpg", "a\rb.jpg"])
def test_a_path_with_a_line_break_is_refused(path):
    with pytest.raises(ValueError, match="line break in it"):
        format_labels({path: 1})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cats/a.jpg:0\ncats/b.jpg:0\ndogs/a.jpg:2\n", ["cats", "1", "dogs"]),
        ("cats/a.jpg:0\ndogs/b.jpg:0\n", ["0", "1", "2"]),
        ("pets/a.jpg:0\npets/b.jpg:1\n", ["0", "1", "2"]),
        ("a.jpg:0\n", ["0", "1", "2"]),
        ("", ["0", "1", "2"]),
    ],
)
def test_a_class_has_the_name_of_its_folder_where_each_has_its_own(text, names):
    assert parse_labels(text).class_names(3) == names
