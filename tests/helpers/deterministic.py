"""Weights and inputs that follow from names and numbers alone, as for the golden files; the two execution modes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from tests.helpers.project import ROOT

GOLDEN = ROOT / "tests" / "golden"


def set_weights(network: nn.Cell) -> None:
    """Give every parameter the value that its name and shape determine."""
    for name, parameter in network.parameters_and_names():
        random = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(parameter.shape)
        parameter.set_data(Tensor(_scaled(name, random).astype(np.float32)))


def _scaled(name: str, random: np.ndarray) -> np.ndarray:
    if name.endswith(".gamma"):
        return 1 + 0.1 * random
    if name.endswith((".beta", ".moving_mean")):
        return 0.1 * random
    if name.endswith(".moving_variance"):
        return 1 + 0.1 * np.abs(random)
    if name.endswith(".bias"):
        return 0.01 * random
    return random * np.sqrt(2 / np.prod(random.shape[1:]))


def random_images(seed: int, *shape: int) -> Tensor:
    """Return uniform images in [-1, 1], float32."""
    return Tensor(np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32))


@contextmanager
def execution_mode(mode: int) -> Iterator[None]:
    """Run in GRAPH_MODE or PYNATIVE_MODE, then again in the graph mode of all tests."""
    ms.set_context(mode=mode)
    try:
        yield
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def logits_of(network: nn.Cell, images: np.ndarray) -> np.ndarray:
    """Return what a network in evaluation makes of images, by the kernels of its graph but without compiling one."""
    with execution_mode(ms.PYNATIVE_MODE):
        return network.set_train(False)(Tensor(images)).asnumpy()
