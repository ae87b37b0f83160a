"""The workloads by PyTorch on CPU: channels last, batches from memory, half precision by bfloat16."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from src.common.workers import available_workers
from src.evaluation.accuracy import Accuracy
from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level
from tools.benchmarks.exchange import Exchange
from tools.benchmarks.torch_xception import TorchXception, torch_name
from tools.benchmarks.workload import LEARNING_RATE, Values, Workload

_MEAN = _STD = 127.5  # of src.data.normalization, which imports MindSpore


class TorchTraining(Workload):
    """Steps of SGD with momentum on batches in memory; decode and augmentation cost it nothing.

    Args:
        config: With momentum, weight decay and precision.
        given: The weights and the batches.
    """

    def __init__(self, config: Config, given: Exchange):
        self._is_half = amp_level(config) != "O0"
        self._network = TorchXception(given.weights).to(memory_format=torch.channels_last).train()
        self._batches = [(_normalised(images), _labels(labels)) for images, labels in _pairs(given)]
        classes = len(given.weights["fc.bias"])
        self._smoothing = given.smoothing * classes / max(classes - 1, 1)  # PyTorch gives the true class a share too
        self._parameters = dict(zip(given.weights, _ours(self._network, given), strict=True))
        decayed = [name for name in given.trained if not name.endswith((".gamma", ".beta"))]
        groups = [
            {"params": [self._parameters[name] for name in decayed], "weight_decay": config.weight_decay},
            {"params": [self._parameters[name] for name in given.trained if name not in decayed]},
        ]
        self._optimizer = torch.optim.SGD(groups, LEARNING_RATE, config.momentum)
        self._trained = given.trained
        self._start = copy.deepcopy((self._network.state_dict(), self._optimizer.state_dict()))
        self._losses: list[Tensor] = []

    def run(self) -> None:
        self._losses = []
        for images, labels in self._batches:
            self._optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=self._is_half):
                logits = self._network(images)
            loss = cross_entropy(logits.float(), labels, label_smoothing=self._smoothing)
            loss.backward()
            self._optimizer.step()
            self._losses.append(loss.detach())

    def result(self) -> Values:
        norms = [float(self._parameters[name].norm()) for name in self._trained]
        network, optimizer = copy.deepcopy(self._start)
        self._network.load_state_dict(network)
        self._optimizer.load_state_dict(optimizer)
        return {"losses": np.array([float(loss) for loss in self._losses]), "weights": np.array(norms)}


class TorchPrediction(Workload):
    """Logits of batches in memory, with batch norm folded.

    Args:
        config: With the precision.
        given: The weights and the batches.
        passes: How often a round goes through the batches.
    """

    def __init__(self, config: Config, given: Exchange, passes: int = 1):
        self._type = torch.float32 if amp_level(config) == "O0" else torch.bfloat16
        network = TorchXception(given.weights).fold().to(self._type, memory_format=torch.channels_last)
        self._batches, self._passes = list(_pairs(given)), passes
        with torch.inference_mode():
            example = _normalised(self._batches[0][0]).to(self._type)
            self._network = torch.jit.optimize_for_inference(torch.jit.trace(network, example))
        self._logits: list[Tensor] = []

    def run(self) -> None:
        with torch.inference_mode():
            for _ in range(self._passes):
                self._logits = [self._network(_normalised(images).to(self._type)) for images, _ in self._batches]

    def result(self) -> Values:
        return {"logits": self._logits[-1].float().numpy().ravel()}


class TorchEvaluation(TorchPrediction):
    """Logits, losses and accuracy of batches in memory; decode costs it nothing."""

    def __init__(self, config: Config, given: Exchange):
        super().__init__(config, given)
        self._given = given

    def result(self) -> Values:
        accuracy = Accuracy(self._logits[0].shape[1])
        losses = []
        for logits, (_, labels) in zip(self._logits, self._batches, strict=True):
            values = torch.log_softmax(logits.float(), 1)
            accuracy.add(logits.float().numpy(), labels)
            own = values[torch.arange(len(labels)), _labels(labels)]
            others = (values.sum(1) - own) / max(values.shape[1] - 1, 1)
            losses.append(-(1 - self._given.smoothing) * own - self._given.smoothing * others)
        return {"loss": np.array([float(torch.cat(losses).mean())]), "top": np.array([accuracy.top_1, accuracy.top_5])}


def build_torch_workload(name: str, config: Config, given: Exchange, passes: int) -> Workload:
    """Return the workload of a name, "training", "evaluation" or "predict", with all cores of this process."""
    torch.set_num_threads(available_workers())
    if name == "training":
        return TorchTraining(config, given)
    if name == "evaluation":
        return TorchEvaluation(config, given)
    return TorchPrediction(config, given, passes)


def _ours(network: TorchXception, given: Exchange) -> list[Tensor]:
    """Return the network's tensors in the order of our parameters."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return [tensors[torch_name(name)] for name in given.weights]


def _pairs(given: Exchange) -> zip:
    return zip(given.images, given.labels, strict=True)


def _labels(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))


def _normalised(images: np.ndarray) -> Tensor:
    """Return images as the network takes them; bytes lie with the channels last already."""
    values = torch.from_numpy(images)
    if images.dtype == np.uint8:
        values = (values.to(torch.float32) - _MEAN) / _STD
        return values.permute(0, 3, 1, 2)
    return values.contiguous(memory_format=torch.channels_last)
