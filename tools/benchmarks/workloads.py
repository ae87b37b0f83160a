"""The workloads that are measured, in equal rounds: training, evaluation, the input pipeline, prediction."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.cpu.classifier import CpuClassifier
from src.data.normalization import Normalization
from src.evaluation.counting import Engine, Result, evaluate
from src.evaluation.engines import by_classifier, by_mindspore, by_onnx, image_loss
from src.export.model_file import ModelFile
from src.model_utils.config import Config
from src.model_utils.derived_settings import is_bfloat16, sinks_data, to_evaluation_precision
from src.model_utils.eval_engine import load_by_engine
from src.model_utils.local_adapter import Group
from src.training.model import build_model, build_optimizer
from src.Xception import Xception
from tools.benchmarks.inputs import build_network, count_steps, open_batches, random_batch
from tools.benchmarks.workload import LEARNING_RATE, Values, Workload


class Training(Workload):
    """Steps of Model.train on the training pipeline, from the same weights each time.

    Dropout is off, as its random numbers could not be drawn again; it is a millionth of the work.

    Args:
        config: The configuration.
        images: Images in a round, over all ranks.
        group: The processes that train together.
        library: The operators in C++, None for MindSpore's.
    """

    def __init__(self, config: Config, images: int, group: Group, library: Path | None):
        self._network = build_network(config)  # sets the seed, of which the images must not follow later
        self._dataset = open_batches(config, True, images, group)
        self._network.dropout = nn.Dropout(p=0.0)
        schedule = np.full(count_steps(config, images, group), LEARNING_RATE, np.float32)
        self._optimizer = build_optimizer(config, self._network, schedule)
        self._model = build_model(config, self._network, self._optimizer, library=library)
        self._sink = sinks_data(config)
        parameters = {id(each): each for each in [*self._network.get_parameters(), *self._optimizer.get_parameters()]}
        self._start = [(parameter, parameter.asnumpy().copy()) for parameter in parameters.values()]
        self._losses: list[float] = []

    def run(self) -> None:
        recorder = _Losses()
        self._model.train(1, self._dataset, [recorder], self._sink)
        self._losses = recorder.values

    def result(self) -> Values:
        weights = [np.linalg.norm(parameter.asnumpy()) for parameter in self._network.trainable_params()]
        for parameter, value in self._start:
            parameter.set_data(Tensor(value))
        return {"losses": np.array(self._losses), "weights": np.array(weights)}


class _Losses(ms.train.Callback):
    """Keeps the loss of each step; of each epoch, where the device sinks it."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        self.values.append(float(run_context.original_args().net_outputs.asnumpy()))


class Evaluation(Workload):
    """The evaluation of eval.py or eval_onnx.py on the evaluation pipeline.

    Args:
        config: The configuration.
        images: Images in a round.
        model: Evaluated in the place of the network if given.
        library: The operators in C++, None for MindSpore's.
    """

    def __init__(self, config: Config, images: int, model: ModelFile | None, library: Path | None):
        self._engine = self._make_engine(config, model, library)
        self._dataset = open_batches(config, False, images, normalize=not self._engine.normalizes)
        self._images = images
        self._result: Result | None = None

    @staticmethod
    def _make_engine(config: Config, model: ModelFile | None, library: Path | None) -> Engine:
        loss = image_loss(config)
        if model:
            return by_onnx(model, loss, config.batch_size)
        network = build_network(config)
        if library:
            return by_classifier(_classifier(config, network, library), loss, config.batch_size)
        return by_mindspore(to_evaluation_precision(config, network), loss, config.batch_size)

    def run(self) -> None:
        self._result = evaluate(self._engine, self._dataset, self._images)

    def result(self) -> Values:
        assert self._result
        return {"loss": np.array([self._result.loss]), "top": np.array([self._result.top_1, self._result.top_5])}


class Pipeline(Workload):
    """The input pipeline alone, as training and evaluation use it: they normalise on the device.

    Args:
        config: The configuration.
        images: Images in a pass.
        passes: Passes over them in a round.
        do_train: Whether with the training preset or that of evaluation.
    """

    def __init__(self, config: Config, images: int, passes: int, do_train: bool):
        self._dataset = open_batches(config, do_train, images).repeat(passes)
        self._pixels = np.zeros(0)
        self._labels: list[np.ndarray] = []

    def run(self) -> None:
        self._labels = []
        for image, label in self._dataset.create_tuple_iterator(num_epochs=1, output_numpy=True):
            self._labels.append(label)
            self._pixels = image[:1]

    def result(self) -> Values:
        pixels = Normalization()(Tensor(self._pixels)).asnumpy()
        return {"labels": np.concatenate(self._labels), "pixels": pixels[0, :, ::16, ::16].ravel()}


class Prediction(Workload):
    """Logits of images that are in memory already.

    Args:
        config: The configuration.
        images: Images in a round.
        model: Used in the place of the network if given.
        library: The operators in C++, None for MindSpore's.
    """

    def __init__(self, config: Config, images: int, model: ModelFile | None, library: Path | None):
        self._batch = random_batch(config)
        self._batches = images // config.batch_size
        self._logits = np.zeros(0)
        if model:
            self._forward = model.run
            return
        if library:
            self._forward = _classifier(config, build_network(config), library).run
            return
        network = to_evaluation_precision(config, build_network(config)).set_train(False)
        self._forward = lambda batch: network(Tensor(batch)).asnumpy()

    def run(self) -> None:
        for _ in range(self._batches):
            self._logits = self._forward(self._batch)

    def result(self) -> Values:
        return {"logits": self._logits.astype(np.float32).ravel()}


def build_workload(
    name: str, config: Config, *, images: int, passes: int, group: Group, library: Path | None = None
) -> Workload:
    """Return the workload of a name: "training", "evaluation", "pipeline-train", "pipeline-eval" or "predict".

    Args:
        name: The name.
        config: With `test_data_dir` as the images, and `onnx_path` to use that in the place of the network.
        images: Images in a pass, a multiple of the batches of all ranks.
        passes: Passes over them in a round of a pipeline; all else has one.
        group: The processes that train together.
        library: The operators in C++, as build_cpu_library returns them; None for MindSpore's.
    """
    model = load_by_engine(config, Path(config.onnx_path)) if config.onnx_path else None
    if name == "training":
        return Training(config, images, group, library)
    if name == "evaluation":
        return Evaluation(config, images, model, library)
    if name == "predict":
        return Prediction(config, images, model, library)
    return Pipeline(config, images, passes, name == "pipeline-train")


def _classifier(config: Config, network: Xception, library: Path) -> CpuClassifier:
    return CpuClassifier(library, network, is_bfloat16(config))
