"""Metadata beside weights: found by way of links, and never taken for that of others."""

from __future__ import annotations

import pytest

from src.metadata.json_beside import json_path, read_json_beside, write_json_beside
from src.metadata.metadata import Metadata

METADATA = Metadata(class_names=("a", "b"), image_size=299)


def test_metadata_beside_weights_reads_back_also_by_a_link(tmp_path):
    weights, link = tmp_path / "x.pth", tmp_path / "elsewhere" / "y.pth"
    weights.write_bytes(b"weights")
    link.parent.mkdir()
    link.symlink_to(weights)
    assert read_json_beside(weights) is None
    assert write_json_beside(weights, b"weights", METADATA) == json_path(weights) == tmp_path / "x.pth.json"
    assert read_json_beside(weights) == read_json_beside(link) == METADATA


def test_metadata_of_other_weights_is_refused(tmp_path):
    weights = tmp_path / "x.pth"
    write_json_beside(weights, b"weights", METADATA)
    weights.write_bytes(b"others")
    with pytest.raises(ValueError, match=r"x\.pth\.json describes other weights"):
        read_json_beside(weights)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"format": 1, "image_size": 0}'])
def test_damaged_metadata_beside_weights_is_one_line(tmp_path, content):
    weights = tmp_path / "x.pth"
    weights.write_bytes(b"weights")
    json_path(weights).write_bytes(content)
    with pytest.raises(ValueError, match=r"^the metadata in .*x\.pth\.json is damaged: [^\n]*$"):
        read_json_beside(weights)
