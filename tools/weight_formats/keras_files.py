"""Weights of keras.applications.Xception: legacy .h5 files, .weights.h5 of Keras 3, and .keras archives."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from src.metadata.metadata import Metadata, Provenance, parse_metadata
from src.Xception import BATCH_NORM_EPSILON
from tools.weight_formats.keras_hdf5 import StoredLayer, import_h5py, read_layers, write_metadata
from tools.weight_formats.keras_model import Model, read_model, refuse_untold
from tools.weight_formats.layers import (
    Layer,
    Weights,
    change_epsilon,
    fold_normalization,
    refuse_differences,
    shown,
    xception_layers,
)
from tools.weight_formats.tensors import Read, StoredTensor, open_archive, read_values, refuse_swelling

# What keras.applications.Xception and Keras's functions that load images do; they keep no shape of an image.
IMAGES = Metadata(image_size=299, crop_pct=1.0, interpolation="bilinear", provenance=Provenance("keras"))
KERAS_EPSILON = 1e-3  # of Keras's batch norms
# What Keras calls the class of a layer and its variables.
_CLASSES = {
    "convolution": "conv2d",
    "separable": "separable_conv2d",
    "norm": "batch_normalization",
    "classifier": "dense",
}
_VARIABLES = {
    "convolution": ("kernel",),
    "separable": ("depthwise_kernel", "pointwise_kernel"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "classifier": ("kernel", "bias"),
}
# A layer's kind by the numbers of dimensions of its variables.
_KINDS = {(4,): "convolution", (4, 4): "separable", (1, 1, 1, 1): "norm", (2, 1): "classifier"}


def read_keras(path: Path) -> Read:
    """Read a .h5, .weights.h5 or .keras file, of Keras 3 or TensorFlow's Keras 2; the network may lie inside a model.

    Args:
        path: The file.

    Returns:
        The weights, without those of the classifier where the model has none, and what is told of them and assumed.

    Raises:
        ValueError: If h5py is missing, the file is damaged, is no Xception, or computes what an Xception cannot.
    """
    h5py = import_h5py()
    stream: Path | io.BytesIO = path
    size, text, version = path.stat().st_size, None, ""
    try:
        if path.suffix == ".keras":
            with open_archive(path) as archive:
                content = archive.read("model.weights.h5")
                text, version = archive.read("config.json").decode(), _version(archive)
            stream, size = io.BytesIO(content), len(content)
        with h5py.File(stream, "r") as file:
            stored = read_layers(file, path)
            refuse_swelling(sum(layer.bytes for layer in stored.layers), size, path)
            text = text or stored.model
            model = read_model(text, path) if text else None
            if not model:
                refuse_untold(stored.names, path)
            weights = change_epsilon(read_values(_match(stored.layers, path), path), KERAS_EPSILON, BATCH_NORM_EPSILON)
    except (OSError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read {path} as a Keras file: {error}") from error
    if stored.metadata is not None:
        return Read(weights, metadata=parse_metadata(stored.metadata, str(path)))
    return _as_told(weights, model, version or stored.version)


def _as_told(weights: Weights, model: Model | None, version: str) -> Read:
    """Return weights for images as this project normalises them, with what Keras tells of them."""
    notes = ["Keras resizes a whole image to a square; here its middle square is taken, without distortion"]
    said: dict[str, Any] = {}
    if re.fullmatch(r"[0-9][\w.+-]{0,40}", version, re.ASCII):
        said["provenance"] = Provenance("keras", {"keras": version})
    if model is None and len(weights.get("fc.bias", ())) > 1:
        notes.append("a file of weights does not tell what follows its classifier: taken for a softmax")
    if model and model.scaling:
        weights = fold_normalization(weights, *model.scaling.mean_and_std)
        notes.append(f"folded the model's own scaling of images of 0 to 255, {model.scaling}, into conv1 and bn1")
    if model and model.sides:
        height, width = model.sides
        said["image_size"] = height if height == width else None
        if height != width:
            notes.append(f"the model takes images of {height} x {width}; here they are square: add --image_size")
    return Read(weights, tuple(notes), said=said)


def to_keras(weights: Weights, path: Path, metadata: Metadata) -> bytes:
    """Return the content of a file for load_weights of keras.applications.Xception.

    Args:
        weights: All weights.
        path: Its future name: .weights.h5 is in the layout of Keras 3, any other .h5 in the legacy one.
        metadata: What the weights mean.

    Raises:
        ValueError: If h5py is missing.
    """
    h5py = import_h5py()
    weights = change_epsilon(weights, BATCH_NORM_EPSILON, KERAS_EPSILON)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write = _write_keras_3 if path.name.endswith(".weights.h5") else _write_legacy
        write(file, weights)
        write_metadata(file, metadata)
    return buffer.getvalue()


def _version(archive: zipfile.ZipFile) -> str:
    """Return the version of Keras that wrote an archive; empty where that is not told."""
    try:
        version = json.loads(archive.read("metadata.json"))["keras_version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return version if isinstance(version, str) else ""


def _match(stored: list[StoredLayer], path: Path) -> dict[str, StoredTensor]:
    """Pair the layers of a file, kind by kind, with those of the network."""
    by_kind = defaultdict(list)
    for candidate in stored:
        by_kind[_KINDS.get(tuple(len(variable.shape) for variable in candidate.variables), "unknown")].append(candidate)
    wanted = xception_layers()
    if not by_kind["classifier"]:
        wanted = [layer for layer in wanted if layer.kind != "classifier"]
    _check_names(stored, wanted, path)
    if Counter(layer.kind for layer in wanted) != {kind: len(layers) for kind, layers in by_kind.items() if layers}:
        counts = ", ".join(f"{len(layers)} {kind}" for kind, layers in by_kind.items() if layers)
        raise ValueError(f"{path} is no keras.applications.Xception: its layers with weights are {counts or 'none'}")
    tensors = {}
    rest = {kind: iter(layers) for kind, layers in by_kind.items()}
    named = any(layer.name.startswith("block") for layer in stored)
    for layer in wanted:
        found = next(rest[layer.kind])
        if named and found.name and layer.kind != "classifier" and layer.keras_name not in (found.name, ""):
            raise ValueError(f"{path} has the layer {shown(found.name)} where {layer.keras_name} belongs")
        for name, variable in zip(layer.parameters, found.variables, strict=True):
            tensors[name] = variable.transpose(_axes(name, layer.kind))
    return tensors


def _check_names(stored: list[StoredLayer], wanted: list[Layer], path: Path) -> None:
    """Compare the names that Keras gives itself; in a file without any, as of its first versions, the order counts."""
    found = {layer.name for layer in stored if layer.name.startswith("block")}
    names = {layer.keras_name for layer in wanted if layer.keras_name.startswith("block")}
    if found:
        refuse_differences(sorted(names - found), sorted(found - names), path)


def _axes(name: str, kind: str) -> tuple[int, ...]:
    """Return the order of Keras's axes in this project's parameter; (height, width, in, out) becomes (out, in, ...)."""
    if kind == "norm":
        return (0,)
    if kind == "classifier":
        return (1, 0) if name.endswith("weight") else (0,)
    # A depthwise kernel is (height, width, channels, 1) there, and (channels, 1, height, width) here.
    return (2, 3, 0, 1) if kind == "separable" and name.endswith("conv1.weight") else (3, 2, 0, 1)


def _keras_values(layer: Layer, weights: Weights) -> list[np.ndarray]:
    return [weights[name].transpose(np.argsort(_axes(name, layer.kind))) for name in layer.parameters]


def _write_keras_3(file: Any, weights: Weights) -> None:
    """Write the groups of Keras 3, which number the layers of a class."""
    numbers: Counter[str] = Counter()
    for layer in xception_layers():
        group = file.create_group(f"layers/{_numbered(_CLASSES[layer.kind], numbers)}/vars")
        if layer.keras_name:
            group.attrs["name"] = layer.keras_name
        for index, value in enumerate(_keras_values(layer, weights)):
            group[str(index)] = value


def _write_legacy(file: Any, weights: Weights) -> None:
    """Write the groups of Keras 2, which are called like the layers; shortcuts are numbered."""
    numbers: Counter[str] = Counter()
    names = []
    for layer in xception_layers():
        name = layer.keras_name or _numbered(_CLASSES[layer.kind], numbers)
        names.append(name.encode())
        group = file.create_group(name)
        variables = [f"{name}/{variable}" for variable in _VARIABLES[layer.kind]]
        group.attrs["weight_names"] = [variable.encode() for variable in variables]
        for variable, value in zip(variables, _keras_values(layer, weights), strict=True):
            group[variable] = value
    file.attrs["layer_names"] = names
    file.attrs["keras_version"] = b"2.15.0"  # the layout's last; readers change kernels of versions before 2
    file.attrs["backend"] = b"tensorflow"


def _numbered(name: str, numbers: Counter[str]) -> str:
    """Return a name as Keras makes it unique: conv2d, conv2d_1, ..."""
    numbers[name] += 1
    return name if numbers[name] == 1 else f"{name}_{numbers[name] - 1}"
