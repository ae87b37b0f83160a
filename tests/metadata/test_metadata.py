"""Metadata: JSON that reads back to an equal value, and nothing that is not understood."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src import Xception
from src.metadata.metadata import (
    AMP_LEVELS,
    FORMAT,
    INTERPOLATIONS,
    POOL_PADDINGS,
    Metadata,
    Provenance,
    parse_metadata,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = TEXT.filter(bool)
RECIPES = st.dictionaries(TEXT, st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT, max_size=5)
PROVENANCES = st.builds(
    Provenance,
    source=TEXT,
    versions=st.dictionaries(TEXT, TEXT, max_size=3),
    recipe=RECIPES,
    images=st.none() | st.integers(0, 10**9),
    training_list=TEXT,
)
METADATA = st.builds(
    Metadata,
    class_names=st.lists(NAMES, max_size=5).map(tuple),
    image_size=st.none() | st.integers(1, 1000),
    crop_pct=st.none() | st.floats(0.01, 1),
    interpolation=st.none() | st.sampled_from(INTERPOLATIONS),
    pool_padding=st.sampled_from(POOL_PADDINGS),
    amp_level=st.none() | st.sampled_from(AMP_LEVELS),
    provenance=PROVENANCES,
)


@given(METADATA)
def test_what_is_written_reads_back_to_an_equal_value_on_one_line_of_ascii(metadata):
    text = metadata.to_json()
    assert text.isascii() and "\n" not in text
    assert parse_metadata(text, "x.ckpt") == metadata


def test_the_words_of_pool_padding_are_those_of_the_network():
    assert POOL_PADDINGS == Xception.POOL_PADDINGS


@given(TEXT | st.binary(max_size=30).map(bytes.hex) | st.sampled_from(["[]", "{}", "null", "1", '{"format": null}']))
def test_what_is_no_metadata_is_one_line_with_the_file(text):
    with pytest.raises(ValueError, match=r"^the metadata in x\.ckpt is damaged: [^\n]+$"):
        parse_metadata(text, "x.ckpt")


def test_a_newer_format_is_refused_and_a_new_key_passed_over():
    with pytest.raises(ValueError, match=r"x\.ckpt has format 2, and this version reads up to 1: use a newer version"):
        parse_metadata(json.dumps({"format": FORMAT + 1}), "x.ckpt")
    assert parse_metadata(json.dumps({"format": FORMAT, "colour": "red"}), "x.ckpt") == Metadata()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class_names", "cat"),
        ("class_names", ["cat", ""]),
        ("class_names", ["cat", 1]),
        ("class_names", ["\ud800"]),
        ("image_size", 0),
        ("image_size", 299.5),
        ("image_size", True),
        ("image_size", 1 << 20),
        ("crop_pct", 0),
        ("crop_pct", 1.1),
        ("crop_pct", float("nan")),
        ("interpolation", "nearest"),
        ("mean", [1, 2]),
        ("std", [0, 1, 1]),
        ("pool_padding", "valid"),
        ("amp_level", "O1"),
        ("format", True),
        ("format", 0),
        ("format", "1"),
        ("provenance", []),
    ],
)
def test_a_part_of_the_wrong_type_or_out_of_range_is_refused(key, value):
    with pytest.raises(ValueError, match=rf"^the metadata in x\.ckpt is damaged: its {key} "):
        parse_metadata(json.dumps({"format": FORMAT, key: value}), "x.ckpt")


@pytest.mark.parametrize(
    ("key", "value"), [("images", -1), ("versions", {"a": 1}), ("recipe", {"a": []}), ("source", 1)]
)
def test_a_wrong_part_of_the_provenance_is_refused(key, value):
    with pytest.raises(ValueError, match=f"its {key} is "):
        parse_metadata(json.dumps({"format": FORMAT, "provenance": {key: value}}), "x.ckpt")


@pytest.mark.parametrize(("key", "value"), [("mean", [124, 116, 104]), ("std", [1, 1, 1]), ("colour_order", "BGR")])
def test_images_that_are_normalised_in_another_way_are_refused(key, value):
    with pytest.raises(ValueError, match=r"x\.onnx takes .* images of mean .*convert_weights"):
        parse_metadata(json.dumps({"format": FORMAT, key: value}), "x.onnx")
