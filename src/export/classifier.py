"""A model file as a classifier of square images, whether it gives logits or probabilities."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from src.export.model_file import ModelFile

_SUM_TOLERANCE = 2e-3  # a thousand probabilities, each rounded to float16, are off by less


@dataclass(frozen=True)
class Sizes:
    """What a model works with.

    Args:
        batch_size: Images in a batch.
        image_size: Height and width of an image in pixels.
        num_classes: Number of classes.
    """

    batch_size: int
    image_size: int
    num_classes: int


def fit_classifier(model: ModelFile, batch_size: int, image_size: int) -> tuple[ModelFile, Sizes]:
    """Return a classifier of square images, with the sizes that it works with; it is run on a few images for that.

    One that ends in softmax gives probabilities: their logarithms are its logits then, and a line on stderr says so.

    Args:
        model: The model.
        batch_size: Images in a batch where the file leaves that open.
        image_size: Height and width in pixels where it leaves these open.

    Raises:
        ValueError: If it takes anything but square RGB images, fails, or gives anything but one row of float32 logits
            for each image.
    """
    shape = model.input_shape
    if len(shape) != 4 or shape[1] not in (3, None) or shape[2] != shape[3]:
        raise ValueError(f"{model.path} takes input of shape {shape}: only (N, 3, H, W) with H = W will do")
    batch, side = shape[0] or batch_size, shape[2] or image_size
    images = np.zeros((batch, 3, side, side), np.float32)
    noise = np.random.default_rng(0).uniform(-1, 1, images.shape).astype(np.float32)
    rows = np.concatenate([_run(model, images), _run(model, noise)])
    if are_probabilities(rows):
        print(f"{model.path} gives probabilities, not logits: they are taken as such", file=sys.stderr)
        model = replace(model, run=partial(_log_probabilities, model))
    elif 0 <= rows.min() < rows.max() <= 1:
        print(f"{model.path} gives values from 0 to 1 that do not sum to 1: they are taken for logits", file=sys.stderr)
    return model, Sizes(batch, side, rows.shape[1])


def are_probabilities(rows: np.ndarray) -> bool:
    """Tell whether rows, float (N, classes), are what softmax gives, of float16 too: none below 0, each of sum 1."""
    return bool((rows >= 0).all() and (abs(rows.sum(1, dtype=np.float64) - 1) <= _SUM_TOLERANCE).all())


def _log_probabilities(model: ModelFile, images: np.ndarray) -> np.ndarray:
    """Return logits whose softmax are the probabilities that a model gives."""
    rows = model.run(images)
    if np.isfinite(rows).all() and not are_probabilities(rows):
        raise ValueError(
            f"{model.path} gives probabilities for some images and not for others: use one that gives logits"
        )
    # What is too small for a float32 is 0, and its logarithm would be no number to go on with.
    return np.log(np.maximum(rows, np.finfo(np.float32).smallest_subnormal))


def _run(model: ModelFile, images: np.ndarray) -> np.ndarray:
    """Return what a model gives for images; raise if it fails or that is no row of logits for each of them."""
    try:
        logits = np.asarray(model.run(images))
    except Exception as error:  # those of ONNX Runtime and MindSpore have no common type
        raise ValueError(f"{model.path} fails on images of shape {images.shape}: {error}") from error
    if logits.ndim != 2 or len(logits) != len(images) or not logits.shape[1] or logits.dtype != np.float32:
        raise ValueError(
            f"{model.path} gives {logits.dtype} {list(logits.shape)} for {len(images)} images instead of logits, "
            f"float32 [{len(images)}, classes]"
        )
    return logits
