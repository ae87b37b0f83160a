"""The layers of Xception in the order of their computation, and what every conversion does with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from src.checkpoints.parameters import first_of
from src.data.normalization import MEAN, STD
from src.Xception import BLOCKS, FEATURES

Weights = dict[str, np.ndarray]  # by the names of this project's parameters
Value = TypeVar("Value")

CLASSIFIER = "fc"
# The parameters of a layer, in the order in which Keras keeps them.
PARAMETERS = {
    "convolution": ("weight",),
    "separable": ("conv1.weight", "pointwise.weight"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "classifier": ("weight", "bias"),
}


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Args:
        kind: A key of PARAMETERS.
        name: Its name in this project.
        keras_name: Its name in keras.applications.Xception; empty for shortcuts, which Keras numbers as it likes.
        channels: Of its input and output; those of the classifier's output are the classes.
        size: Height and width of its kernel.
    """

    kind: str
    name: str
    keras_name: str
    channels: tuple[int, int]
    size: int = 1

    @property
    def parameters(self) -> list[str]:
        """The full names of its parameters in this project."""
        return [f"{self.name}.{parameter}" for parameter in PARAMETERS[self.kind]]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its parameters in this project."""
        inputs, outputs = self.channels
        if self.kind == "norm":
            return [(outputs,)] * 4
        if self.kind == "classifier":
            return [(outputs, inputs), (outputs,)]
        if self.kind == "separable":
            return [(inputs, 1, self.size, self.size), (outputs, inputs, 1, 1)]
        return [(outputs, inputs, self.size, self.size)]


def xception_layers(classes: int = 1) -> list[Layer]:
    """Return the layers with weights, the shortcut of a block after its other layers."""
    layers = _pair("convolution", ("conv1", "bn1", "block1_conv1"), (3, 32), 3)
    layers += _pair("convolution", ("conv2", "bn2", "block1_conv2"), (32, 64), 3)
    for number, (in_channels, widths, stride) in enumerate(BLOCKS, start=1):
        block = f"block{number}"
        first = 0 if number == 1 else 1  # the other blocks begin with an activation
        for index, channels in enumerate(zip((in_channels, *widths), widths, strict=False)):
            position = first + 3 * index  # separable convolution, batch norm, activation
            names = (f"{block}.rep.{position}", f"{block}.rep.{position + 1}", f"block{number + 1}_sepconv{index + 1}")
            layers += _pair("separable", names, channels, 3)
        if stride != 1 or widths[-1] != in_channels:
            channels = (in_channels, widths[-1])
            layers.append(Layer("convolution", f"{block}.skip", "", channels))
            layers.append(Layer("norm", f"{block}.skipbn", "", channels))
    last = f"block{len(BLOCKS) + 2}_sepconv"
    layers += _pair("separable", ("conv3", "bn3", f"{last}1"), (1024, 1536), 3)
    layers += _pair("separable", ("conv4", "bn4", f"{last}2"), (1536, FEATURES), 3)
    return [*layers, Layer("classifier", CLASSIFIER, "predictions", (FEATURES, classes))]


def parameter_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by its name in this project; no network is built for it."""
    return {
        name: shape
        for layer in xception_layers(classes)
        for name, shape in zip(layer.parameters, layer.shapes, strict=True)
    }


def rename(tensors: Mapping[str, Value], names: Mapping[str, str], path: Path) -> dict[str, Value]:
    """Give every tensor of a file this project's name.

    Args:
        tensors: What the file holds.
        names: This project's name by the file's name, for all parameters.
        path: The file, for messages.

    Returns:
        The same by this project's names; those of the classifier may be missing.

    Raises:
        ValueError: If another one is missing, or one is unexpected.
    """
    missing = [theirs for theirs, ours in names.items() if theirs not in tensors and not is_classifier(ours)]
    unexpected = [theirs for theirs in tensors if theirs not in names]
    refuse_differences(missing, unexpected, path)
    return {ours: tensors[theirs] for theirs, ours in names.items() if theirs in tensors}


def is_classifier(name: str) -> bool:
    """Tell whether a parameter of this project belongs to the classifier."""
    return name.startswith(f"{CLASSIFIER}.")


def refuse_differences(missing: Iterable[str], unexpected: Iterable[str], path: Path) -> None:
    """Raise ValueError with the names that a file lacks and those that nothing corresponds to, if there are any."""
    lists = (("missing", list(missing)), ("unexpected", list(unexpected)))
    problems = [f"{what}: {first_of([shown(name) for name in names])}" for what, names in lists if names]
    if problems:
        raise ValueError(f"{path} is no Xception in the expected layout: {'; '.join(problems)}")


def shown(name: str) -> str:
    """Return a name of a file for a message, in which line ends and other invisible characters are told."""
    return name if name.isprintable() and name.strip() == name else ascii(name)


def change_epsilon(weights: Weights, source: float, target: float) -> Weights:
    """Return weights that compute under another epsilon of batch norm what they computed under their own.

    Gamma is scaled, as gamma / sqrt(variance + epsilon) is all that inference uses. A correction of the variance would
    be impossible where it is smaller than the difference, and would be lost in fine-tuning.

    Args:
        weights: Weights with all batch norms.
        source: Their epsilon.
        target: The other one.

    Returns:
        New weights; the arrays that stay the same are shared.
    """
    changed = dict(weights)
    for layer in xception_layers():
        if layer.kind == "norm":
            gamma, variance = f"{layer.name}.gamma", weights[f"{layer.name}.moving_variance"].astype(np.float64)
            changed[gamma] = (weights[gamma] * np.sqrt((variance + target) / (variance + source))).astype(np.float32)
    return changed


def fold_normalization(weights: Weights, mean: Sequence[float], std: Sequence[float]) -> Weights:
    """Return weights that compute from (value - 127.5) / 127.5 what they computed from (value - mean) / std.

    The first convolution takes up the factor, and the mean of the batch norm behind it the rest, which is the same at
    every place as that convolution pads nothing: exact in inference and in training.

    Args:
        weights: Weights with the first convolution and batch norm.
        mean: Of each channel, on the scale of 0 to 255.
        std: Of each channel, on that scale.

    Returns:
        New weights; the arrays that stay the same are shared.
    """
    scale = STD / np.asarray(std, np.float64)
    shift = (MEAN - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)
    kernel = weights["conv1.weight"].astype(np.float64)  # (output, input, height, width)
    constant = np.einsum("oihw,i->o", kernel, shift)
    return {
        **weights,
        "conv1.weight": (kernel * scale[:, None, None]).astype(np.float32),
        "bn1.moving_mean": (weights["bn1.moving_mean"] - constant).astype(np.float32),
    }


def as_two_classes(weights: Weights) -> Weights:
    """Return weights whose softmax of two classes is the sigmoid of the only output that they had, for the second."""
    return {
        **weights,
        "fc.weight": np.concatenate([np.zeros_like(weights["fc.weight"]), weights["fc.weight"]]),
        "fc.bias": np.concatenate([np.zeros_like(weights["fc.bias"]), weights["fc.bias"]]),
    }


def _pair(kind: str, names: tuple[str, str, str], channels: tuple[int, int], size: int) -> list[Layer]:
    """Return a convolution and the batch norm that follows it; names are here, here and in Keras."""
    name, norm, keras_name = names
    return [Layer(kind, name, keras_name, channels, size), Layer("norm", norm, f"{keras_name}_bn", channels)]
