"""The workloads that are measured, in equal rounds: training, evaluation, the input pipeline, prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoints.weights import load_weights
from src.data.image_source import open_images
from src.data.normalization import Normalization
from src.dataset import create_dataset
from src.evaluation.counting import Engine, Result, evaluate
from src.evaluation.engines import by_mindspore, by_onnx, image_loss
from src.export.model_file import ModelFile, load_onnx
from src.model_utils.config import Config
from src.model_utils.derived_settings import sinks_data, to_evaluation_precision, workers
from src.model_utils.local_adapter import ALONE, Group
from src.training.model import build_model, build_optimizer
from src.Xception import Xception, xception

Values = dict[str, np.ndarray]

_LEARNING_RATE = 1e-4  # so low that rounding errors do not grow in a round


class Workload(ABC):
    """What a process does in each round of a benchmark."""

    @abstractmethod
    def run(self) -> None:
        """Do one round; all rounds have the same results."""

    @abstractmethod
    def result(self) -> Values:
        """Return what the last round came to, for comparison, and go back to where it began; takes none of its time."""


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
        steps = images // (config.batch_size * group.size)
        self._dataset = _open_batches(config, True, images, group)
        self._network = build_network(config)
        self._network.dropout = nn.Dropout(p=0.0)
        schedule = np.full(steps, _LEARNING_RATE, np.float32)
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
    """

    def __init__(self, config: Config, images: int, model: ModelFile | None):
        self._engine = self._make_engine(config, model)
        self._dataset = _open_batches(config, False, images, normalize=not self._engine.normalizes)
        self._images = images
        self._result: Result | None = None

    @staticmethod
    def _make_engine(config: Config, model: ModelFile | None) -> Engine:
        loss = image_loss(config)
        if model:
            return by_onnx(model, loss, config.batch_size)
        return by_mindspore(to_evaluation_precision(config, build_network(config)), loss, config.batch_size)

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
        self._dataset = _open_batches(config, do_train, images).repeat(passes)
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
    """

    def __init__(self, config: Config, images: int, model: ModelFile | None):
        shape = (config.batch_size, 3, config.image_size, config.image_size)
        self._batch = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        self._batches = images // config.batch_size
        self._logits = np.zeros(0)
        if model:
            self._forward = model.run
            return
        network = to_evaluation_precision(config, build_network(config)).set_train(False)
        self._forward = lambda batch: network(Tensor(batch)).asnumpy()

    def run(self) -> None:
        for _ in range(self._batches):
            self._logits = self._forward(self._batch)

    def result(self) -> Values:
        return {"logits": self._logits.astype(np.float32).ravel()}


def build_network(config: Config) -> Xception:
    """Return the network with the weights of `checkpoint_path`, or those that follow from the seed."""
    ms.set_seed(config.seed)
    network = xception(config.num_classes)
    if config.checkpoint_path:
        load_weights(network, config.checkpoint_path)
    return network


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
        library: The operators in C++ for training, as build_cpu_library returns them; None for MindSpore's.
    """
    model = load_onnx(Path(config.onnx_path), config.device_target) if config.onnx_path else None
    if name == "training":
        return Training(config, images, group, library)
    if name == "evaluation":
        return Evaluation(config, images, model)
    if name == "predict":
        return Prediction(config, images, model)
    return Pipeline(config, images, passes, name == "pipeline-train")


def _open_batches(
    config: Config, do_train: bool, images: int, group: Group = ALONE, normalize: bool = False
) -> ms.dataset.Dataset:
    """Return this rank's batches, all of them whole."""
    source = open_images(config.test_data_dir)
    counts = source.counts()
    total = sum(counts.values())
    if total < images:
        raise ValueError(f"{config.test_data_dir} has {total} images, less than the {images} of a round: use --images")
    if len(counts) > config.num_classes:
        raise ValueError(
            f"{config.test_data_dir} has {len(counts)} classes, not {config.num_classes}: use --num_classes"
        )
    dataset = create_dataset(
        source,
        do_train,
        config.batch_size,
        group.size,
        group.rank,
        image_size=config.image_size,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        num_parallel_workers=workers(config),
        seed=config.seed,
        normalize=normalize,
    )
    return dataset.take(images // (config.batch_size * group.size))
