"""A network small enough to be saved, loaded and compared in no time, with its optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState
from src.training.step import follow


class Small(nn.Cell):
    """A small network with the kinds of parameters that Xception has."""

    def __init__(self, num_classes: int = 4, layers: int = 1, width: int = 2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 3, weight_init="xavier_uniform")
        self.bn1 = nn.BatchNorm2d(2)
        self.blocks = nn.SequentialCell([nn.Dense(width, width) for _ in range(layers)])
        self.fc = nn.Dense(2, num_classes)


def build(**arguments) -> tuple[Small, nn.Momentum]:
    """Return a network and its optimizer, with random weights and momentum."""
    network = Small(**arguments)
    optimizer = nn.Momentum(network.trainable_params(), Tensor(np.zeros(9, np.float32)), 0.9)
    set_random([*network.get_parameters(), *optimizer.moments])
    return network, optimizer


def build_state(average: bool = False, **arguments) -> TrainingState:
    """Return the same as what a checkpoint holds, with a moving average of other random weights where that is asked."""
    network, optimizer = build(**arguments)
    if not average:
        return TrainingState(network, optimizer)
    averaged = follow(Small(**arguments), network)
    set_random(averaged.get_parameters())
    return TrainingState(network, optimizer, averaged)


def set_random(parameters: Iterable[ms.Parameter]) -> None:
    """Give parameters random values."""
    random = np.random.default_rng()
    for parameter in parameters:
        parameter.set_data(Tensor(random.normal(size=parameter.shape), ms.float32))


def values(*cells: nn.Cell) -> dict[str, np.ndarray]:
    return {p.name: p.asnumpy().copy() for cell in cells for p in cell.get_parameters()}


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert np.array_equal(value, right[name]), name
