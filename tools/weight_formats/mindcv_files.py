"""Checkpoints of MindCV's Xception: this project's network under other names."""

from __future__ import annotations

import re
from pathlib import Path

from src.checkpoints.weights import read_weights
from src.metadata.metadata import Metadata, Provenance
from tools.weight_formats.layers import CLASSIFIER, fold_normalization, is_classifier, rename, xception_layers
from tools.weight_formats.tensors import Read, StoredTensor, read_values

# What MindCV's recipe of Xception and its own evaluation do; it rounds the resized side down.
IMAGES = Metadata(image_size=299, crop_pct=0.875, interpolation="bilinear", provenance=Provenance("mindcv"))
# ImageNet's, of each channel on the scale of 0 to 255: what MindCV gives all its networks.
MEAN = tuple(255 * value for value in (0.485, 0.456, 0.406))
STD = tuple(255 * value for value in (0.229, 0.224, 0.225))


def read_mindcv(path: Path) -> Read:
    """Read a checkpoint of MindCV's Xception.

    Args:
        path: The .ckpt file.

    Returns:
        The weights, for images as this project normalises them, and a note of that.

    Raises:
        ValueError: If the file is damaged, or is no such checkpoint.
    """
    tensors = read_weights(path).values
    names = {_mindcv_name(name): name for layer in xception_layers() for name in layer.parameters}
    if tensors.keys() == set(names.values()):
        raise ValueError(f"{path} is a checkpoint of this project already: use it as it is, or add --to=FORMAT")
    stored = {name: StoredTensor.of(value) for name, value in tensors.items()}
    weights = read_values(rename(stored, names, path), path)
    note = "folded the mean and deviation of MindCV's images into conv1 and bn1: images are normalised as always here"
    return Read(fold_normalization(weights, MEAN, STD), (note,))


def _mindcv_name(name: str) -> str:
    if is_classifier(name):
        return name.replace(CLASSIFIER, "classifier", 1)
    return re.sub(r"^block(\d+)", lambda match: f"blocks.{int(match[1]) - 1}", name)
