"""What computes logits and losses for an evaluation: a network in MindSpore or in C++, or an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.cpu.classifier import CpuClassifier
from src.data.normalization import WithNormalization
from src.evaluation.counting import Engine, Run
from src.export.model_file import ModelFile, ToLogits
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
    return Engine(_with_loss(model.run, loss), loss.num_classes, batch_size, normalizes=False)


def by_classifier(classifier: CpuClassifier, loss: CrossEntropySmooth, batch_size: int) -> Engine:
    """Return the evaluation of a network in C++, by the weights that it was made of.

    Args:
        classifier: The network.
        loss: The loss of each image, which MindSpore computes.
        batch_size: Images in a batch, 1 or more.
    """
    return Engine(_with_loss(classifier.run, loss), loss.num_classes, batch_size, normalizes=True)


def _with_loss(to_logits: ToLogits, loss: CrossEntropySmooth) -> Run:
    def run(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = to_logits(image)
        return logits, loss(Tensor(logits), Tensor(label)).asnumpy()

    return run


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
