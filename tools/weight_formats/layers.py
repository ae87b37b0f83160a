"""The layers of Xception in the order of their computation, and what every conversion does with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.checkpoints.parameters import first_of
from src.Xception import BLOCKS

Weights = dict[str, np.ndarray]  # by the names of this project's parameters

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
    """

    kind: str
    name: str
    keras_name: str

    @property
    def parameters(self) -> list[str]:
        """The full names of its parameters in this project."""
        return [f"{self.name}.{parameter}" for parameter in PARAMETERS[self.kind]]


def xception_layers() -> list[Layer]:
    """Return the layers with weights, the shortcut of a block after its other layers."""
    layers = []
    for number in (1, 2):
        layers += _pair("convolution", f"conv{number}", f"bn{number}", f"block1_conv{number}")
    for number, (in_channels, widths, stride) in enumerate(BLOCKS, start=1):
        block = f"block{number}"
        first = 0 if number == 1 else 1  # the other blocks begin with an activation
        for index in range(len(widths)):
            position = first + 3 * index  # separable convolution, batch norm, activation
            keras_name = f"block{number + 1}_sepconv{index + 1}"
            layers += _pair("separable", f"{block}.rep.{position}", f"{block}.rep.{position + 1}", keras_name)
        if stride != 1 or widths[-1] != in_channels:
            layers += [Layer("convolution", f"{block}.skip", ""), Layer("norm", f"{block}.skipbn", "")]
    for number in (1, 2):
        keras_name = f"block{len(BLOCKS) + 2}_sepconv{number}"
        layers += _pair("separable", f"conv{number + 2}", f"bn{number + 2}", keras_name)
    return [*layers, Layer("classifier", CLASSIFIER, "predictions")]


def rename(tensors: Mapping[str, np.ndarray], names: Mapping[str, str], path: Path) -> Weights:
    """Give every tensor of a file this project's name.

    Args:
        tensors: What the file holds.
        names: This project's name by the file's name, for all parameters.
        path: The file, for messages.

    Returns:
        The weights; those of the classifier may be missing.

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
    problems = [f"{what}: {first_of(names)}" for what, names in lists if names]
    if problems:
        raise ValueError(f"{path} is no Xception in the expected layout: {'; '.join(problems)}")


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


def _pair(kind: str, name: str, norm: str, keras_name: str) -> list[Layer]:
    """Return a convolution and the batch norm that follows it."""
    return [Layer(kind, name, keras_name), Layer("norm", norm, f"{keras_name}_bn")]
