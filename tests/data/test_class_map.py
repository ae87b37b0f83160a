"""A class map is read as it was meant, or its first wrong line is named."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.class_map import parse_class_map, read_class_map, same_name
from src.model_utils.config import ConfigError

# What a field can be without losing anything; halves of characters are no UTF-8.
FIELD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


def pairs(text: str) -> list[tuple[str, str, int]]:
    return [(each.folder, each.name, each.line) for each in parse_class_map(text, "map.csv").folders.values()]


@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, unique_by=lambda pair: same_name(pair[0])), st.booleans())
def test_what_a_csv_writer_writes_is_read_back(rows, has_header):
    buffer = io.StringIO()
    csv.writer(buffer).writerows([*([("folder", "class")] if has_header else []), *rows])
    if not has_header and tuple(map(str.lower, rows[0])) == ("folder", "class"):
        return
    assert [pair[:2] for pair in pairs(buffer.getvalue())] == rows


@given(st.text())
def test_any_text_is_a_map_or_one_error_that_names_the_file(text):
    try:
        found = pairs(text)
    except ConfigError as error:
        assert str(error).startswith("class map map.csv")
    else:
        assert found and all(folder and name for folder, name, _ in found)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_mark_line_ends_blank_lines_and_spaces_do_not_matter(tmp_path, mark, end):
    lines = ["Folder,Class", "", 'n01440764, "tench, Tinca tinca"', "Hündin ,3", "  "]
    (tmp_path / "map.csv").write_bytes((mark + end.join(lines)).encode())
    found = read_class_map(tmp_path / "map.csv").folders.values()
    assert [(each.folder, each.name, each.line) for each in found] == [
        ("n01440764", "tench, Tinca tinca", 3), ("Hündin", "3", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " is empty: write a line 'folder,class'"),
        (b"folder,class\n", " is empty: write a line 'folder,class'"),
        (b"a,b\nc;d\n", ", line 2: expected 'folder,class', got 'c;d'"),
        (b"a,b,c\n", ", line 1: expected 'folder,class', got 'a,b,c'"),
        (b"a,b\n\nc,\n", ", line 3: expected 'folder,class', got 'c,'"),
        (b",\n", ", line 1: expected 'folder,class', got ','"),
        (b'a,b\n"c,d\n', ", line 2: no CSV: unexpected end of data"),
        ("é,1\nb,2\ne\u0301,3\n".encode(), ", line 3: folder e\u0301 stands in line 1 already"),
        ("a,1\n".encode("utf-16"), " is not UTF-8 text (byte 0): save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_class_map_is_told_by_its_line(tmp_path, content, message):
    path = tmp_path / "map.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'class map {path}{message}')}"):
        read_class_map(path)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot read the class map .*/no\.csv: No such file or directory$"):
        read_class_map(tmp_path / "no.csv")
