"""Weights of keras.applications.Xception: legacy .h5 files, .weights.h5 of Keras 3, and .keras archives."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from src.Xception import BATCH_NORM_EPSILON
from tools.weight_formats.layers import Layer, Weights, change_epsilon, refuse_differences, xception_layers

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


@dataclass(frozen=True)
class _Stored:
    """A layer of a file: its name there, which old files of Keras 3 lack, and its HDF5 data sets."""

    name: str
    variables: list[Any]


def read_keras(path: Path) -> Weights:
    """Read a .h5, .weights.h5 or .keras file, of Keras 3 or TensorFlow's Keras 2.

    Args:
        path: The file.

    Returns:
        The weights, without those of the classifier where the model was made with include_top=False.

    Raises:
        ValueError: If h5py is missing, the file is damaged, or is no Xception.
    """
    h5py = _h5py()
    try:
        stream: Path | io.BytesIO = path
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                stream = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(stream, "r") as file:
            return change_epsilon(_match(list(_stored_layers(file, path)), path), KERAS_EPSILON, BATCH_NORM_EPSILON)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read {path} as a Keras file: {error}") from error


def to_keras(weights: Weights, path: Path) -> bytes:
    """Return the content of a file for load_weights of keras.applications.Xception.

    Args:
        weights: All weights.
        path: Its future name: .weights.h5 is in the layout of Keras 3, any other .h5 in the legacy one.

    Raises:
        ValueError: If h5py is missing.
    """
    h5py = _h5py()
    weights = change_epsilon(weights, BATCH_NORM_EPSILON, KERAS_EPSILON)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write = _write_keras_3 if path.name.endswith(".weights.h5") else _write_legacy
        write(file, weights)
    return buffer.getvalue()


def _stored_layers(file: Any, path: Path) -> Iterator[_Stored]:
    """Yield the layers with weights, those of a kind in the order of their computation."""
    if "layers" in file:
        for name in sorted(file["layers"], key=_with_number):
            variables = file["layers"][name].get("vars", {})
            if len(variables):  # layers without weights have an empty group
                ordered = [_inside(variables, index, path) for index in sorted(variables, key=int)]
                yield _Stored(str(variables.attrs.get("name", "")), ordered)
        return
    root = file.get("model_weights", file)
    if "layer_names" not in root.attrs:
        raise ValueError(f"{path} holds neither a group 'layers' nor 'layer_names': it is no file of Keras weights")
    for name in map(_text, root.attrs["layer_names"]):
        variables = [_inside(root, f"{name}/{_text(variable)}", path) for variable in root[name].attrs["weight_names"]]
        if variables:
            yield _Stored(name, variables)


def _match(stored: list[_Stored], path: Path) -> Weights:
    """Pair the layers of a file, kind by kind, with those of the network."""
    by_kind = defaultdict(list)
    for candidate in stored:
        by_kind[_KINDS.get(tuple(variable.ndim for variable in candidate.variables), "unknown")].append(candidate)
    wanted = xception_layers()
    if not by_kind["classifier"]:
        wanted = [layer for layer in wanted if layer.kind != "classifier"]
    _check_names(stored, wanted, path)
    if Counter(layer.kind for layer in wanted) != {kind: len(layers) for kind, layers in by_kind.items() if layers}:
        counts = ", ".join(f"{len(layers)} {kind}" for kind, layers in by_kind.items() if layers)
        raise ValueError(f"{path} is no keras.applications.Xception: its layers with weights are {counts}")
    weights = {}
    rest = {kind: iter(layers) for kind, layers in by_kind.items()}
    for layer in wanted:
        found = next(rest[layer.kind])
        if found.name and layer.kind != "classifier" and layer.keras_name not in (found.name, ""):
            raise ValueError(f"{path} has the layer {found.name} where {layer.keras_name} belongs")
        for name, variable in zip(layer.parameters, found.variables, strict=True):
            weights[name] = variable[()].transpose(_axes(name, layer.kind))
    return weights


def _check_names(stored: list[_Stored], wanted: list[Layer], path: Path) -> None:
    """Compare the names that Keras gives itself, where the file has any; people name classifiers as they like."""
    found = {layer.name for layer in stored if layer.name.startswith("block")}
    names = {layer.keras_name for layer in wanted if layer.keras_name.startswith("block")}
    if any(layer.name for layer in stored):
        refuse_differences(sorted(names - found), sorted(found - names), path)


def _inside(group: Any, name: str, path: Path) -> Any:
    """Return a data set of the file itself; HDF5 can refer to any other one of the machine."""
    variable = group[name]
    if variable.file.filename != group.file.filename or variable.external or variable.is_virtual:
        raise ValueError(f"{path} keeps {name} in another file")
    return variable


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


def _with_number(name: str) -> tuple[str, int]:
    """Return a key that sorts conv2d_2 before conv2d_10."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", name)
    assert match
    return match[1], int(match[2] or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise ValueError("h5py, which Keras files need, is missing: pip install -r requirements-convert.txt") from error
    return h5py
