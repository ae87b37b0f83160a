"""Xception by operators in C++, for training on CPU: MindSpore's own are many times slower than the memory allows.

Names, shapes and values of the network stay as they are, so checkpoints do too.
"""

from __future__ import annotations

from pathlib import Path

from mindspore import nn

from src.cpu.cells import BatchNorm, BatchNormParameters, BatchNormReluDepthwise, Convolution, Depthwise, MaxPool
from src.Xception import SeparableConv2d, Xception


def use_cpu_operators(network: Xception, library: Path) -> None:
    """Let a network compute with the operators, before it is called for the first time; its parameters stay its own.

    Args:
        network: Float32, with what is frozen frozen already.
        library: As build_cpu_library of src.cpu.library returns it.

    Raises:
        ValueError: A batch norm has another epsilon or momentum than the operators.
    """
    names = {id(parameter): parameter.name for parameter in network.get_parameters()}
    for name in ("conv1", "conv2"):
        setattr(network, name, Convolution(library, getattr(network, name)))
    for name in ("conv3", "conv4"):
        separable = getattr(network, name)
        separable.conv1 = Depthwise(library, separable.conv1, False)
    for name in ("bn1", "bn2", "bn3", "bn4"):
        setattr(network, name, _batch_norm(library, getattr(network, name)))
    for block in network.blocks:
        _replace_layers(library, block.rep)
        if block.has_skip:
            block.skip = Convolution(library, block.skip)
            block.skipbn = _batch_norm(library, block.skipbn)
    for parameter in network.get_parameters():
        parameter.name = names[id(parameter)]  # MindSpore has put other prefixes before them


def _replace_layers(library: Path, layers: nn.SequentialCell) -> None:
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            layers[index] = MaxPool(library)
        elif isinstance(layer, SeparableConv2d) and index > 1 and _takes_batch_statistics(layers[index - 2]):
            layers[index - 2] = BatchNormParameters(layers[index - 2])
            layer.conv1 = BatchNormReluDepthwise(library, layers[index - 2], layer.conv1)
            layers[index - 1] = nn.Identity()
        elif isinstance(layer, SeparableConv2d):
            layer.conv1 = Depthwise(library, layer.conv1, index > 0)
            if index:
                layers[index - 1] = nn.Identity()
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm2d):
            layers[index] = _batch_norm(library, layer)


def _batch_norm(library: Path, batch_norm: nn.BatchNorm2d) -> nn.Cell:
    return BatchNorm(library, batch_norm) if _takes_batch_statistics(batch_norm) else batch_norm


def _takes_batch_statistics(batch_norm: nn.BatchNorm2d) -> bool:
    return batch_norm.use_batch_statistics is None  # in training; a frozen one has False
