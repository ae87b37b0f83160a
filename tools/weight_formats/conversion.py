"""Weights of other packages to a checkpoint of this project, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mindspore import Tensor

from src.checkpoints.weights import read_weights, save_weights
from src.common.files import atomic_write
from src.Xception import xception
from tools.weight_formats.keras_files import read_keras, to_keras
from tools.weight_formats.layers import Weights, as_two_classes, refuse_differences, xception_layers
from tools.weight_formats.mindcv_files import read_mindcv
from tools.weight_formats.tensors import Read, StoredTensor, check_values, read_values
from tools.weight_formats.torch_files import read_torch, to_torch


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        classes: The number of classes of the network.
        pool_padding: How it pads max pooling.
        notes: What a person should know of how its weights were taken, one line each.
    """

    classes: int
    pool_padding: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a package keeps the weights.

    Args:
        pool_padding: How its network pads max pooling, a word of src.Xception.POOL_PADDINGS.
        read: Reads a file; None for what is only written.
        write: Returns the content of a file of that name; None for what is only read.
    """

    pool_padding: str
    read: Callable[[Path], Read] | None
    write: Callable[[Weights, Path], bytes] | None


LAYOUTS = {
    "keras": Layout("same", read_keras, to_keras),
    "timm": Layout("symmetric", read_torch, to_torch),
    "safetensors": Layout("symmetric", None, to_torch),
    "mindcv": Layout("same", read_mindcv, None),
}


def import_weights(
    source: Path,
    layout: str,
    out: Path,
    num_classes: int | None = None,
    pool_padding: str | None = None,
    *,
    raw: bool = False,
) -> Converted:
    """Write a checkpoint of this project with the weights of another package.

    Args:
        source: The file of the other package.
        layout: A key of LAYOUTS that can be read.
        out: The checkpoint.
        num_classes: Number of classes of a new, untrained classifier for a file that has none.
        pool_padding: "same" or "symmetric", for a network that pads in another way than its package; None takes that.
        raw: Whether to take the weights themselves where a file of timm's layout holds their moving average too.

    Raises:
        ValueError: If the layout is only written, the file does not fit or holds a value that is not finite; nothing
            is written then.
        OSError: If the checkpoint cannot be written.
    """
    read = LAYOUTS[layout].read
    if read is None:
        raise ValueError(f"{source}: files of {layout} are only written")
    found = read_torch(source, raw) if layout == "timm" else read(source)
    weights, notes = found.weights, found.notes
    if "fc.bias" not in weights and num_classes is None:
        raise ValueError(f"{source} has no classifier: add --num_classes=N to put an untrained one there")
    if "fc.bias" in weights and len(weights["fc.bias"]) == 1:
        weights = as_two_classes(weights)
        notes = (*notes, "its one output, taken for a sigmoid, became two classes: 1 where it is near 1, 0 else")
    classes = len(weights.get("fc.bias", range(num_classes or 0)))
    if num_classes not in (None, classes):
        raise ValueError(f"{source} has a classifier of {classes} classes: leave out --num_classes={num_classes}")
    check_values(weights, source)  # they may have been changed since they were read
    network = xception(classes, pool_padding or LAYOUTS[layout].pool_padding)
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    for name, value in weights.items():
        parameters[name].set_data(Tensor(value))
    save_weights(out, network)
    return Converted(classes, network.pool_padding, notes)


def export_weights(source: Path, layout: str, out: Path) -> Converted:
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
    stored = read_weights(source)
    names = [name for layer in xception_layers() for name in layer.parameters]
    refuse_differences([name for name in names if name not in stored.values], stored.values.keys() - set(names), source)
    weights = read_values({name: StoredTensor.of(stored.values[name]) for name in names}, source)
    atomic_write(out, write(weights, out))
    notes = ("took the moving average of the weights, which the checkpoint holds too",) if stored.are_averaged else ()
    return Converted(len(weights["fc.bias"]), stored.metadata.pool_padding if stored.metadata else "same", notes)
