"""Weights of other packages to a checkpoint of this project, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor

from src.checkpoints.weights import read_weights, save_weights
from src.common.files import atomic_write
from src.Xception import xception
from tools.weight_formats.keras_files import read_keras, to_keras
from tools.weight_formats.layers import Weights, is_classifier, refuse_differences
from tools.weight_formats.mindcv_files import read_mindcv
from tools.weight_formats.torch_files import read_torch, to_torch


@dataclass(frozen=True)
class Layout:
    """How a package keeps the weights.

    Args:
        pool_padding: How its network pads max pooling, a word of src.Xception.POOL_PADDINGS.
        read: Reads a file; None for what is only written.
        write: Returns the content of a file of that name; None for what is only read.
    """

    pool_padding: str
    read: Callable[[Path], Weights] | None
    write: Callable[[Weights, Path], bytes] | None


LAYOUTS = {
    "keras": Layout("same", read_keras, to_keras),
    "timm": Layout("symmetric", read_torch, to_torch),
    "safetensors": Layout("symmetric", None, to_torch),
    "mindcv": Layout("same", read_mindcv, None),
}


def import_weights(
    source: Path, layout: str, out: Path, num_classes: int | None = None, pool_padding: str | None = None
) -> tuple[int, str]:
    """Write a checkpoint of this project with the weights of another package.

    Args:
        source: The file of the other package.
        layout: A key of LAYOUTS that can be read.
        out: The checkpoint.
        num_classes: Number of classes of a new, untrained classifier for a file that has none.
        pool_padding: "same" or "symmetric", for a network that pads in another way than its package; None takes that.

    Returns:
        The number of classes and the pool padding of the network.

    Raises:
        ValueError: If the layout is only written, the file does not fit or holds a value that is not finite; nothing
            is written then.
        OSError: If the checkpoint cannot be written.
    """
    read = LAYOUTS[layout].read
    if read is None:
        raise ValueError(f"{source}: files of {layout} are only written")
    weights = read(source)
    classes = _class_count(weights, source, num_classes)
    network = xception(classes, pool_padding or LAYOUTS[layout].pool_padding)
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    _check_values(weights, {name: tuple(parameter.shape) for name, parameter in parameters.items()}, source)
    for name, value in weights.items():
        parameters[name].set_data(Tensor(np.ascontiguousarray(value, np.float32)))
    save_weights(out, network)
    return classes, network.pool_padding


def export_weights(source: Path, layout: str, out: Path) -> tuple[int, str]:
    """Write the weights of a checkpoint of this project for another package.

    Args:
        source: The checkpoint.
        layout: A key of LAYOUTS that can be written.
        out: The file.

    Returns:
        The number of classes and the pool padding of the checkpoint, which may be another than the package's.

    Raises:
        ValueError: If the layout is only read, the checkpoint does not fit or holds a value that is not finite; nothing
            is written then.
        OSError: If the file cannot be written.
    """
    write = LAYOUTS[layout].write
    if write is None:
        raise ValueError(f"{out}: files of {layout} are only read")
    weights, pool_padding = read_weights(source)
    classes = _class_count(weights, source)
    shapes = {parameter.name: tuple(parameter.shape) for parameter in xception(classes).get_parameters()}
    refuse_differences([name for name in shapes if name not in weights], weights.keys() - shapes.keys(), source)
    _check_values(weights, shapes, source)
    atomic_write(out, write({name: weights[name].astype(np.float32) for name in shapes}, out))
    return classes, pool_padding


def _class_count(weights: Weights, path: Path, num_classes: int | None = None) -> int:
    """Return the number of classes that a file has; num_classes is for one without a classifier."""
    classifier = [name for name in ("fc.weight", "fc.bias") if is_classifier(name) and name in weights]
    if not classifier:
        if num_classes is None:
            raise ValueError(f"{path} has no classifier: add --num_classes=N to put an untrained one there")
        return num_classes
    refuse_differences([name for name in ("fc.weight", "fc.bias") if name not in classifier], [], path)
    classes = len(weights["fc.bias"])
    if num_classes not in (None, classes):
        raise ValueError(f"{path} has a classifier of {classes} classes: leave out --num_classes={num_classes}")
    return classes


def _check_values(weights: Weights, shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """Raise for a weight of another shape, one that is no finite number, or a negative variance."""
    for name, value in weights.items():
        if value.shape != shapes[name]:
            raise ValueError(f"{path} does not fit: {name} has shape {value.shape} instead of {shapes[name]}")
        if not np.issubdtype(value.dtype, np.floating) or not np.isfinite(value).all():
            raise ValueError(f"{path} holds values in {name} that are no finite numbers")
        if name.endswith(".moving_variance") and value.min() < 0:
            raise ValueError(f"{path} holds a negative variance in {name}")
