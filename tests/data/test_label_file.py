"""A label file is read as it was meant, and what cannot be read is told."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.data.label_file import Labels, format_labels, parse_labels, read_labels

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
    labels = parse_labels("k/a.jpg:1\nk/a.jpg 2\nb.jpg:1\nb.jpg:1\n")
    again = ("line 2 of the label file names k/a.jpg again", "line 4 of the label file names b.jpg again")
    assert labels == Labels({"k/a.jpg": 1, "b.jpg": 1}, again)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n\nk/a.jpg,0\nk/b.jpg,1\n", "line 3 of the label file is not 'path:label': k/a.jpg,0;"),
        (b"k/a.jpg:cat\nk/b.jpg:dog\n", "line 1 of the label file is not 'path:label': k/a.jpg:cat;"),
        ("k/a.jpg:0\r\n".encode("utf-16"), "it is UTF-16 text, not UTF-8: line 1 is k/a.jpg:0;"),
        ("k/é.jpg:0\n".encode("utf-16-be"), r"line 1 of the label file is not 'path:label': \x00k\x00/\x00\xe9"),
        (b"\xff\xfe\n", r"line 1 of the label file is not 'path:label': \xff\xfe;"),
        (b"\n \n", "the label file is empty;"),
        (b"", "the label file is empty;"),
    ],
    ids=["comma", "words", "UTF-16", "UTF-16 without its mark", "no text", "blank", "empty"],
)
def test_a_file_without_a_label_is_refused_with_its_first_line(tmp_path, content, reason):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no label in ") as refusal:
        read_labels(path)
    message = str(refusal.value)
    assert message.startswith(f"no label in {path}: {reason}")
    assert message.endswith("; tools/imgid2label.py writes label files")
    assert message.isprintable()


def test_a_file_begins_after_its_byte_order_mark_and_names_need_no_encoding(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfcaf\xe9.jpg:0\r\n\xff\xfe.jpg 1\n")
    assert read_labels(path) == Labels({"caf\udce9.jpg": 0, "\udcff\udcfe.jpg": 1}, ())


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
