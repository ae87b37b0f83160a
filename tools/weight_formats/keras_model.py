"""Keras's description of a model, in which all is told that its weights are not: what it computes with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.weight_formats.keras_hdf5 import with_number
from tools.weight_formats.layers import shown

# What does nothing in inference, or to which nothing corresponds in a network; so does every class Random*.
_NOTHING = {
    "InputLayer",
    "Dropout",
    "SpatialDropout2D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
}
# The layers of keras.applications.Xception before its pooling: how many, and their settings; old versions lack some.
_LAYERS: dict[str, tuple[int, dict[str, Any]]] = {
    "Conv2D": (6, {"activation": "linear", "dilation_rate": [1, 1], "groups": 1}),
    "SeparableConv2D": (
        34,
        {"strides": [1, 1], "padding": "same", "dilation_rate": [1, 1], "activation": "linear", "depth_multiplier": 1},
    ),
    "BatchNormalization": (40, {"epsilon": 0.001, "center": True, "scale": True}),
    "Activation": (35, {"activation": "relu"}),
    "MaxPooling2D": (4, {"pool_size": [3, 3], "strides": [2, 2], "padding": "same"}),
    "Add": (12, {}),
}
_STRIDES = Counter({("2, 2", "same"): 4, ("2, 2", "valid"): 1, ("1, 1", "valid"): 1})  # of the Conv2D layers
_POOLING = "GlobalAveragePooling2D"
# Layers that change what the weights mean, as Keras calls them in files of weights alone.
_UNTOLD = {
    "rescaling",
    "normalization",
    "lambda",
    "true_divide",
    "divide",
    "subtract",
    "multiply",
    "global_max_pooling2d",
    "flatten",
}


@dataclass(frozen=True)
class Scaling:
    """What a model does to the values of images, by channel: value * factor + offset."""

    factor: np.ndarray
    offset: np.ndarray

    @property
    def mean_and_std(self) -> tuple[list[float], list[float]]:
        """The same as (value - mean) / std."""
        return (-self.offset / self.factor).tolist(), (1 / self.factor).tolist()

    def __str__(self) -> str:
        factor, offset = (
            ", ".join(f"{number:g}" for number in np.unique(value)) for value in (self.factor, self.offset)
        )
        return f"multiplied by {factor}, {offset} added"


@dataclass(frozen=True)
class Model:
    """What a model does that its network does not tell.

    Args:
        scaling: What it does to images first; None if it takes them as keras.applications.Xception does, from -1 to 1.
        sides: Height and width of the images that it is made for; None if it takes any.
    """

    scaling: Scaling | None
    sides: tuple[int, int] | None


def read_model(text: str, path: Path) -> Model:
    """Check that a model computes what this project's network can.

    Args:
        text: The description, JSON.
        path: Its file, for messages.

    Returns:
        What it does to images first, and their size.

    Raises:
        ValueError: If the description is damaged, or a layer is one that the network cannot express.
    """
    try:
        model = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the description of the model in {path}: {error!r}") from error
    try:
        every = list(_flat(model))
        layers = [layer for layer in every if not _does_nothing(layer["class_name"])]
        first = _index_of(layers, "Conv2D", 0)
        pooling = _index_of(layers, _POOLING, len(layers))
        scaling = _read_scaling(layers[:first], path)
        _check_body(layers[first:pooling], path)
        _check_head(layers[pooling:], path)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot read the description of the model in {path}: {error!r}") from error
    return Model(scaling, next(filter(None, map(_input_sides, every)), None))


def refuse_untold(names: Iterable[str], path: Path) -> None:
    """Raise ValueError for a layer whose effect a file of weights alone does not tell."""
    for name in names:
        if with_number(name)[0] in _UNTOLD:
            raise ValueError(
                f"{path} mentions a layer {shown(name)}, and tells nothing of what it computes: convert the .keras or "
                ".h5 file of the whole model"
            )


def _flat(model: Any) -> Iterator[dict[str, Any]]:
    """Yield the layers of a model and of the models in it, in the order of the computation."""
    config = model["config"]
    layers = config if isinstance(config, list) else config.get("layers")
    if layers is None:
        raise KeyError(f"no layers in {model['class_name']}")
    for layer in layers:
        inner = layer["config"]
        if isinstance(inner, list) or "layers" in inner:
            yield from _flat(layer)
        else:
            yield layer


def _does_nothing(kind: str) -> bool:
    return kind in _NOTHING or (kind.startswith("Random") and kind != "RandomCrop")  # which crops the centre then


def _input_sides(layer: dict[str, Any]) -> tuple[int, int] | None:
    """Return height and width of the images that an input layer takes, if it tells them, with colours last."""
    shape = layer["config"].get("batch_shape", layer["config"].get("batch_input_shape"))
    if layer["class_name"] != "InputLayer" or not isinstance(shape, list) or len(shape) != 4 or shape[3] != 3:
        return None
    height, width = shape[1:3]
    return (height, width) if all(type(side) is int and side > 0 for side in (height, width)) else None


def _index_of(layers: list[dict[str, Any]], kind: str, otherwise: int) -> int:
    return next((index for index, layer in enumerate(layers) if layer["class_name"] == kind), otherwise)


def _refuse(layer: dict[str, Any], path: Path, reason: str) -> None:
    name = shown(str(layer["config"].get("name", "")))
    raise ValueError(f"{path}: this network cannot express the layer {name} ({shown(layer['class_name'])}): {reason}")


def _read_scaling(layers: list[dict[str, Any]], path: Path) -> Scaling | None:
    """Return what the layers before the first convolution do together; None where there are none."""
    factor, offset = np.ones(3), np.zeros(3)
    for layer in layers:
        config, kind = layer["config"], layer["class_name"]
        if kind == "Rescaling":
            values = config["scale"], config.get("offset", 0)
        elif kind in ("TrueDivide", "Divide", "Multiply", "Subtract"):
            arguments = layer["inbound_nodes"][0]["args"]
            value = arguments[1] if len(arguments) == 2 and not isinstance(arguments[1], dict) else None
            values = {"Multiply": (value, 0), "Subtract": (1, value)}.get(kind, (value, 0))
        else:
            _refuse(layer, path, "it stands before the first convolution")
        try:
            scale, shift = (np.broadcast_to(np.asarray(value, np.float64), 3) for value in values)
            if kind in ("TrueDivide", "Divide"):
                scale = 1 / scale
            if kind == "Subtract":
                shift = -shift
            factor, offset = factor * scale, offset * scale + shift
        except (ValueError, TypeError):
            _refuse(layer, path, "it is none of one number, or one a channel")
        if not (np.isfinite([factor, offset]).all() and factor.all()):
            _refuse(layer, path, "its numbers are none to scale by")
    return Scaling(factor, offset) if layers else None


def _check_body(layers: list[dict[str, Any]], path: Path) -> None:
    """Compare the layers up to the pooling with those of keras.applications.Xception."""
    for layer in layers:
        if layer["class_name"] not in _LAYERS:
            _refuse(layer, path, "Xception has none there")
        for setting, value in _LAYERS[layer["class_name"]][1].items():
            found = layer["config"].get(setting, value)
            if found != value:
                _refuse(layer, path, f"{setting} is {str(found)[:80]} instead of {value}")
    counts = Counter(layer["class_name"] for layer in layers)
    for kind, (count, _) in _LAYERS.items():
        if counts[kind] != count:
            raise ValueError(
                f"{path} is no keras.applications.Xception: it has {counts[kind]} layers {kind}, not {count}"
            )
    convolutions = [layer["config"] for layer in layers if layer["class_name"] == "Conv2D"]
    if Counter((", ".join(map(str, each["strides"])), each["padding"]) for each in convolutions) != _STRIDES:
        raise ValueError(f"{path} is no keras.applications.Xception: its convolutions have other strides or paddings")


def _check_head(layers: list[dict[str, Any]], path: Path) -> None:
    """Compare the layers from the pooling on with an average, a classifier and a softmax; all may be missing."""
    if len(layers) < 2:
        return
    dense, rest = layers[1], layers[2:]
    if dense["class_name"] != "Dense":
        _refuse(dense, path, "the classifier follows the pooling")
    units, activation = dense["config"]["units"], dense["config"]["activation"]
    last = dense
    if rest and activation == "linear" and rest[0]["class_name"] in ("Activation", "Softmax"):
        last = rest.pop(0)
        activation = last["config"].get("activation", "softmax")
    if rest:
        _refuse(rest[0], path, "it follows the classifier")
    if activation == "sigmoid" and units > 1:
        _refuse(last, path, f"a sigmoid for each of {units} classes, which do not exclude one another here")
    if activation not in ("linear", "softmax", "sigmoid"):
        _refuse(last, path, f"activation {str(activation)[:80]}")
    if activation == "softmax" and units == 1:
        _refuse(last, path, "the softmax of one class is always 1")
