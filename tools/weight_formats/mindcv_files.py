"""Checkpoints of MindCV's Xception: this project's network under other names."""

from __future__ import annotations

import re
from pathlib import Path

from src.checkpoints.weights import read_weights
from tools.weight_formats.layers import CLASSIFIER, is_classifier, rename, xception_layers
from tools.weight_formats.tensors import Read, StoredTensor, read_values


def read_mindcv(path: Path) -> Read:
    """Read a checkpoint of MindCV's Xception.

    Args:
        path: The .ckpt file.

    Returns:
        The weights.

    Raises:
        ValueError: If the file is damaged, or is no such checkpoint.
    """
    tensors, _ = read_weights(path)
    names = {_mindcv_name(name): name for layer in xception_layers() for name in layer.parameters}
    if tensors.keys() == set(names.values()):
        raise ValueError(f"{path} is a checkpoint of this project already: use it as it is, or add --to=FORMAT")
    stored = {name: StoredTensor.of(value) for name, value in tensors.items()}
    return Read(read_values(rename(stored, names, path), path))


def _mindcv_name(name: str) -> str:
    if is_classifier(name):
        return name.replace(CLASSIFIER, "classifier", 1)
    return re.sub(r"^block(\d+)", lambda match: f"blocks.{int(match[1]) - 1}", name)
