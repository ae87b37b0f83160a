"""Weights of other packages to a checkpoint of this project, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mindspore import Tensor

from src.checkpoints.weights import read_weights, save_weights
from src.common.files import atomic_write
from src.metadata.class_list import read_class_list
from src.metadata.json_beside import write_json_beside
from src.metadata.metadata import Metadata, parse_metadata
from src.model_utils.weights_settings import check_training, look_beside
from src.Xception import xception
from tools.weight_formats import keras_files, mindcv_files, timm_settings
from tools.weight_formats.keras_files import read_keras, to_keras
from tools.weight_formats.layers import Weights, as_two_classes, refuse_differences, shown, xception_layers
from tools.weight_formats.mindcv_files import read_mindcv
from tools.weight_formats.tensors import Read, StoredTensor, check_values, read_values
from tools.weight_formats.torch_files import read_torch, to_torch

_SHOWN = 40  # of a class name in a message


@dataclass(frozen=True)
class Given:
    """What a person says of weights that come in; it counts before what their file says. None for nothing.

    Args:
        num_classes: Number of classes of a new, untrained classifier for a file that has none.
        pool_padding: "same" or "symmetric": how the weights' network pads max pooling.
        image_size: Side of the images that they were trained with, in pixels.
        class_names: File with a name a line.
        raw: Whether to take the weights themselves where a file of timm's layout holds their moving average too.
    """

    num_classes: int | None = None
    pool_padding: str | None = None
    image_size: int | None = None
    class_names: Path | None = None
    raw: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        classes: The number of classes of the network.
        metadata: What the weights mean, which the file says too.
        notes: What a person should know of how its weights were taken, one line each.
        beside: The file with the metadata, of a format that has no place for it.
    """

    classes: int
    metadata: Metadata
    notes: tuple[str, ...] = ()
    beside: Path | None = None


@dataclass(frozen=True)
class Layout:
    """How a package keeps the weights.

    Args:
        metadata: What the package does with images, and how its network pads max pooling.
        read: Reads a file; None for what is only written.
        write: Returns the content of a file of that name; None for what is only read.
        beside: Whether its files have no place for the metadata.
    """

    metadata: Metadata
    read: Callable[[Path], Read] | None
    write: Callable[[Weights, Path, Metadata], bytes] | None
    beside: bool = False


LAYOUTS = {
    "keras": Layout(keras_files.IMAGES, read_keras, to_keras),
    "timm": Layout(timm_settings.IMAGES, read_torch, to_torch, beside=True),
    "safetensors": Layout(timm_settings.IMAGES, None, to_torch),
    "mindcv": Layout(mindcv_files.IMAGES, read_mindcv, None),
}


def import_weights(source: Path, layout: str, out: Path, given: Given | None = None) -> Converted:
    """Write a checkpoint of this project with the weights of another package.

    Args:
        source: The file of the other package.
        layout: A key of LAYOUTS that can be read.
        out: The checkpoint.
        given: What a person says of the weights.

    Raises:
        ValueError: If the layout is only written, the file does not fit or holds a value that is not finite; nothing
            is written then.
        OSError: If the checkpoint cannot be written.
    """
    given = given or Given()
    read = LAYOUTS[layout].read
    if read is None:
        raise ValueError(f"{source}: files of {layout} are only written")
    found = read_torch(source, given.raw) if layout == "timm" else read(source)
    weights, notes = found.weights, found.notes
    if "fc.bias" not in weights and given.num_classes is None:
        raise ValueError(f"{source} has no classifier: add --num_classes=N to put an untrained one there")
    if "fc.bias" in weights and len(weights["fc.bias"]) == 1 and found.metadata is None:
        weights = as_two_classes(weights)
        notes = (*notes, "its one output, taken for a sigmoid, became two classes: 1 where it is near 1, 0 else")
    classes = len(weights.get("fc.bias", range(given.num_classes or 0)))
    if given.num_classes not in (None, classes):
        raise ValueError(f"{source} has a classifier of {classes} classes: leave out --num_classes={given.num_classes}")
    check_values(weights, source)  # they may have been changed since they were read
    metadata, differences = _describe(found, LAYOUTS[layout].metadata, given, source)
    _check_names(metadata.class_names, classes, given.class_names or source)
    network = xception(classes, metadata.pool_padding)
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    for name, value in weights.items():
        parameters[name].set_data(Tensor(value))
    save_weights(out, network, metadata)
    return Converted(classes, metadata, (*notes, *differences))


def export_weights(source: Path, layout: str, out: Path) -> Converted:
    """Write the weights of a checkpoint of this project for another package, and what they mean.

    Args:
        source: The checkpoint.
        layout: A key of LAYOUTS that can be written.
        out: The file.

    Returns:
        What the checkpoint is; its pool padding may be another than the package's.

    Raises:
        ValueError: If the layout is only read, the checkpoint does not fit or holds a value that is not finite; nothing
            is written then.
        OSError: If a file cannot be written.
    """
    write = LAYOUTS[layout].write
    if write is None:
        raise ValueError(f"{out}: files of {layout} are only read")
    stored = read_weights(source)
    names = [name for layer in xception_layers() for name in layer.parameters]
    refuse_differences([name for name in names if name not in stored.values], stored.values.keys() - set(names), source)
    weights = read_values({name: StoredTensor.of(stored.values[name]) for name in names}, source)
    told, classes = look_beside(source, stored.metadata or Metadata()), len(weights["fc.bias"])
    check_training(source, told.training_classes, classes)
    _check_names(told.metadata.class_names, classes, told.names_file)
    content = write(weights, out, told.metadata)
    atomic_write(out, content)
    beside = write_json_beside(out, content, told.metadata) if LAYOUTS[layout].beside else None
    average = "took the moving average of the weights, which the checkpoint holds too" if stored.are_averaged else ""
    return Converted(classes, told.metadata, tuple(filter(None, (told.note, average))), beside)


def _describe(found: Read, package: Metadata, given: Given, source: Path) -> tuple[Metadata, list[str]]:
    """Return what weights mean, and a line for each thing that a person says otherwise than their file."""
    ours = {each.name: getattr(found.metadata, each.name) for each in fields(Metadata)} if found.metadata else {}
    said = ours or found.said
    changes: dict[str, Any] = {
        "pool_padding": given.pool_padding,
        "image_size": given.image_size,
        "class_names": tuple(read_class_list(given.class_names)) if given.class_names else None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    differences = [
        f"--{name}={getattr(given, name)} counts, though {source} says {_shown(said[name])}"
        for name, value in changes.items()
        if said.get(name) not in (None, (), value)
    ]
    metadata = replace(found.metadata or replace(package, **said), **changes)
    if not found.metadata:
        metadata = replace(metadata, crop_pct=_crop_of_same_side(metadata))
    return parse_metadata(metadata.to_json(), str(source)), differences  # what is written can be read


def _crop_of_same_side(metadata: Metadata) -> float | None:
    """Return the share that gives the resized side which other packages round down; here it is rounded."""
    size, share = metadata.image_size, metadata.crop_pct
    if size is None or share is None:
        return share
    side = math.floor(size / share)
    return share if round(size / share) == side else size / side


def _check_names(names: Sequence[str], classes: int, where: Path) -> None:
    if names and len(names) != classes:
        raise ValueError(f"{where} has {len(names)} class names, but the classifier has {classes} classes")


def _shown(value: Any) -> str:
    """Return a value for a message; of names the first ones, without what would break a line."""
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(shown(name[:_SHOWN].strip()) for name in value[:3]) + (", ..." if len(value) > 3 else "")
