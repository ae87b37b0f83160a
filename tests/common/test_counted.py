"""Counted things in messages."""

import pytest

from src.common.counted import counted


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0, "image"), "0 images"),
        ((1, "image"), "1 image"),
        ((1438, "image"), "1,438 images"),
        ((1, "process", "processes"), "1 process"),
        ((2, "process", "processes"), "2 processes"),
    ],
)
def test_one_thing_is_singular(words, expected):
    assert counted(*words) == expected
