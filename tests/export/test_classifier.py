"""A model file says what it takes and gives, whatever it leaves open: logits or probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.export.classifier import Sizes, fit_classifier
from src.export.model_file import ModelFile


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
    assert fit_classifier(model(*input_shape), batch_size=8, image_size=90)[1] == sizes


@pytest.mark.parametrize("input_shape", [(5, 3, 71, 90), (5, 1, 71, 71), (5, 3, 71), (5, 3, None, 71)])
def test_what_takes_no_square_images_is_refused(input_shape):
    with pytest.raises(ValueError, match=r"^a.onnx takes input of shape \(5, .*: only \(N, 3, H, W\) with"):
        fit_classifier(model(*input_shape), 8, 90)


def test_what_fails_or_gives_no_logits_is_refused():
    with pytest.raises(ValueError, match=r"^a.onnx gives float32 \[8, 0\] for 8 images instead of logits"):
        fit_classifier(model(None, 3, 71, 71, classes=0), 8, 90)
    broken = ModelFile(Path("b.mindir"), lambda images: np.linalg.inv(images), (None, 3, 71, 71), "none")
    with pytest.raises(ValueError, match=r"^b.mindir fails on images of shape \(8, 3, 71, 71\): "):
        fit_classifier(broken, 8, 90)


# Probabilities


def softmax(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(rows - rows.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def giving(convert, scale: float = 1.0) -> ModelFile:
    """A model of seven classes, whose logits are of the first pixels."""
    return ModelFile(Path("a.onnx"), lambda images: convert(images[:, 0, 0, :7] * scale), (2, 3, 71, 71), "none")


IMAGES = np.random.default_rng(1).normal(size=(2, 3, 71, 71)).astype(np.float32)
LOGITS = IMAGES[:, 0, 0, :7]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_softmax_of_what_a_model_of_probabilities_gives_are_these(capsys, dtype):
    model, _ = fit_classifier(giving(lambda rows: softmax(rows).astype(dtype).astype(np.float32)), 2, 71)
    assert capsys.readouterr().err == "a.onnx gives probabilities, not logits: they are taken as such\n"
    assert np.allclose(softmax(model.run(IMAGES)), softmax(LOGITS), rtol=1e-5 if dtype == np.float32 else 2e-3)
    assert capsys.readouterr().err == ""


def test_a_probability_of_nothing_has_a_finite_logit():
    model, _ = fit_classifier(giving(softmax, scale=1000.0), 2, 71)
    assert (softmax(LOGITS * 1000) == 0).any()
    assert np.isfinite(model.run(IMAGES)).all()


@pytest.mark.parametrize(
    "convert", [lambda rows: rows, np.exp, lambda rows: rows * 0, lambda rows: np.log(softmax(rows))]
)
def test_logits_are_taken_as_they_are(capsys, convert):
    model, _ = fit_classifier(giving(convert), 2, 71)
    assert np.array_equal(model.run(IMAGES), convert(LOGITS))
    assert capsys.readouterr().err == ""


def test_what_is_neither_is_told(capsys):
    model, _ = fit_classifier(giving(lambda rows: 1 / (1 + np.exp(-rows))), 2, 71)
    assert (
        capsys.readouterr().err == "a.onnx gives values from 0 to 1 that do not sum to 1: they are taken for logits\n"
    )
    assert np.array_equal(model.run(IMAGES), 1 / (1 + np.exp(-LOGITS)))


def test_probabilities_for_some_images_alone_are_an_error():
    model, _ = fit_classifier(giving(lambda rows: softmax(rows) * (1 + (rows.max() > 1))), 2, 71)
    with pytest.raises(ValueError, match=r"^a\.onnx gives probabilities for some images and not for others"):
        model.run(IMAGES + 1)


def test_probabilities_that_are_no_numbers_stay_such():
    model, _ = fit_classifier(giving(lambda rows: np.where(rows > 1, np.float32(np.nan), softmax(rows))), 2, 71)
    assert np.isnan(model.run(IMAGES + 1)).any()
