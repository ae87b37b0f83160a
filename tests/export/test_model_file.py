"""A model file says what it takes and gives, whatever it leaves open, and reading about it needs no MindSpore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.export.model_file import ModelFile, Sizes, find_sizes


def model(*input_shape: int | None, classes: int = 7) -> ModelFile:
    return ModelFile(Path("a.onnx"), lambda images: images.mean((2, 3))[:, :1].repeat(classes, 1), input_shape, "none")


@pytest.mark.parametrize(
    ("input_shape", "sizes"),
    [
        ((5, 3, 71, 71), Sizes(5, 71, 7)),
        ((None, 3, 71, 71), Sizes(8, 71, 7)),
        ((5, None, None, None), Sizes(5, 90, 7)),
        ((None, 3, None, None), Sizes(8, 90, 7)),
    ],
)
def test_given_sizes_count_where_the_file_leaves_them_open(input_shape, sizes):
    assert find_sizes(model(*input_shape), batch_size=8, image_size=90) == sizes


@pytest.mark.parametrize("input_shape", [(5, 3, 71, 90), (5, 1, 71, 71), (5, 3, 71), (5, 3, None, 71)])
def test_what_takes_no_square_images_is_refused(input_shape):
    with pytest.raises(ValueError, match=r"^a.onnx takes input of shape \(5, .*: only \(N, 3, H, W\) with"):
        find_sizes(model(*input_shape), 8, 90)


def test_what_fails_or_gives_no_logits_is_refused():
    with pytest.raises(ValueError, match=r"^a.onnx gives float32 \[8, 0\] for 8 images instead of logits"):
        find_sizes(model(None, 3, 71, 71, classes=0), 8, 90)
    broken = ModelFile(Path("b.mindir"), lambda images: np.linalg.inv(images), (None, 3, 71, 71), "none")
    with pytest.raises(ValueError, match=r"^b.mindir fails on images of shape \(8, 3, 71, 71\): "):
        find_sizes(broken, 8, 90)
