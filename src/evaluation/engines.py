"""What computes logits and losses for an evaluation: a network in MindSpore, or an ONNX file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.data.normalization import WithNormalization
from src.evaluation.counting import Engine
from src.export.model_file import ModelFile
from src.loss import CrossEntropySmooth
from src.model_utils.config import Config
from src.model_utils.derived_settings import label_smoothing


def image_loss(config: Config) -> CrossEntropySmooth:
    """Return the configured loss, one for each image of a batch."""
    return CrossEntropySmooth(True, "none", label_smoothing(config), config.num_classes)


def by_mindspore(network: nn.Cell, loss: CrossEntropySmooth, batch_size: int) -> Engine:
    """Return the evaluation of a network; its first batch compiles it, once for all evaluations.

    Args:
        network: Maps images to logits (N, num_classes). Each batch takes the weights of its moment and leaves the mode,
            training or not, as it was.
        loss: The loss of each image.
        batch_size: Images in a batch, 1 or more.
    """
    cell = _LogitsAndLoss(network, loss)

    def run(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with _evaluation_mode(network):
            logits, losses = cell(Tensor(image), Tensor(label))
            return logits.asnumpy(), losses.asnumpy()

    return Engine(run, loss.num_classes, batch_size, normalizes=True)


def by_onnx(model: ModelFile, loss: CrossEntropySmooth, batch_size: int) -> Engine:
    """Return the evaluation of an ONNX file.

    Args:
        model: The file.
        loss: The loss of each image, which MindSpore computes.
        batch_size: Images in a batch: the file's, if it does not take any.
    """

    def run(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = model.run(image)
        return logits, loss(Tensor(logits), Tensor(label)).asnumpy()

    return Engine(run, loss.num_classes, batch_size, normalizes=False)


class _LogitsAndLoss(nn.Cell):
    """The network, with the normalisation in front of it, followed by a loss for each image."""

    def __init__(self, network: nn.Cell, loss: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = WithNormalization(network)
        self.loss = loss

    def construct(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        logits = ops.cast(self.network(image), ms.float32)
        return logits, self.loss(logits, label)


@contextmanager
def _evaluation_mode(network: nn.Cell) -> Iterator[None]:
    was_training = network.training
    network.set_train(False)
    try:
        yield
    finally:
        network.set_train(was_training)
