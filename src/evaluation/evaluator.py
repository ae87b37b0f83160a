"""Evaluation: loss, top-1 and top-5 over every image of a data set, each counted exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.checkpoints.names import BAD_IMAGES, CURVES
from src.common.progress import Progress
from src.data.normalization import WithNormalization
from src.data.usable_images import UsableImages, write_bad_images
from src.dataset import create_dataset, readable_errors
from src.evaluation.accuracy import Accuracy
from src.evaluation.mistakes import ConfidentMistakes, Mistake
from src.evaluation.report import Evaluated, write_full_report
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import ALONE, Group, sum_over_ranks
from src.training.model import build_loss

Run = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Args:
        images: Number of images that were evaluated.
        loss: Mean loss of an image.
        top_1: Share of images whose class has the largest logit, 0 to 1.
        top_5: Share of images whose class is among the five largest logits, 0 to 1; with up to five classes always 1.
        confusion: Number of images by (true class, predicted class), int64.
        mistakes: The most confident mistakes, the most confident one first.
    """

    images: int
    loss: float
    top_1: float
    top_5: float
    confusion: np.ndarray
    mistakes: tuple[Mistake, ...] = ()

    def to_line(self) -> str:
        """Return the line `result: {'Loss': ..., 'Top_1_Acc': ..., 'Top_5_Acc': ...}`."""
        figures = {"Loss": self.loss, "Top_1_Acc": self.top_1, "Top_5_Acc": self.top_5}
        return f"result: {figures}"


class _LogitsAndLoss(nn.Cell):
    """The network, with the normalisation in front of it, followed by a loss for each image."""

    def __init__(self, network: nn.Cell, loss: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = WithNormalization(network)
        self.loss = loss

    def construct(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        logits = ops.cast(self.network(image), ms.float32)
        return logits, self.loss(logits, label)


class Evaluator:
    """Evaluates one network, again and again, and compiles it once.

    Args:
        network: Maps images to logits (N, num_classes).
        loss: CrossEntropySmooth with reduction "none".
        num_classes: Number of classes, 1 or more.
        batch_size: Images in a batch of the data sets that will be evaluated, 1 or more.
        group: The processes that share the images.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell, num_classes: int, batch_size: int, group: Group = ALONE):
        self._group = group
        self._network = network
        self._cell = _LogitsAndLoss(network, loss)
        self._num_classes = num_classes
        self._batch_size = batch_size

    def evaluate(self, dataset: ms.dataset.Dataset | None, images: int) -> Result:
        """Evaluate every image of a data set and show the progress.

        Args:
            dataset: This process's share of an evaluation data set of create_dataset; its last batch may be smaller.
                None where there are fewer images than processes and this one has none.
            images: Number of images that all processes should see together, 1 or more.

        Returns:
            The result of all processes; the network is left in the mode, training or not, that it was in.

        Raises:
            ValueError: If a logit is NaN or infinite, or the data set did not hold that many images.
        """
        was_training = self._network.training
        self._network.set_train(False)
        try:
            return evaluate_batches(self._run, dataset, images, self._num_classes, self._batch_size, self._group)
        finally:
            self._network.set_train(was_training)

    def _run(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, losses = self._cell(Tensor(image), Tensor(label))
        return logits.asnumpy(), losses.asnumpy()


def evaluate_batches(
    run: Run, dataset: ms.dataset.Dataset | None, images: int, num_classes: int, batch_size: int, group: Group = ALONE
) -> Result:
    """Evaluate every image of a data set by any function that gives logits, and show the progress.

    Args:
        run: Maps images, in the form that the data set has, and labels, int32 (batch_size,), to logits, float32
            (batch_size, num_classes), and losses, float32 (batch_size,).
        dataset: As in Evaluator.evaluate.
        images: As there.
        num_classes: Number of classes, 1 or more.
        batch_size: Images in a batch, 1 or more; a smaller last batch is padded.
        group: The processes that share the images.

    Returns:
        The result of all processes.

    Raises:
        ValueError: If a logit is NaN or infinite, or the data set did not hold that many images.
    """
    accuracy = Accuracy(num_classes)
    mistakes = ConfidentMistakes()
    loss_sum = np.zeros(1)
    seen = 0
    with Progress(_share(images, group), "evaluate") as progress:
        for image, label in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True) if dataset else ():
            count = len(label)
            logits, losses = (values[:count] for values in run(_pad(image, batch_size), _pad(label, batch_size)))
            if not np.isfinite(logits).all():
                raise ValueError("the network's logits are NaN or infinite: its weights are no good")
            accuracy.add(logits, label)
            # Ranks take turns: the numbers are those of the whole data set.
            mistakes.add((seen + np.arange(count)) * group.size + group.rank, logits, label)
            seen += count
            loss_sum += losses.sum(dtype=np.float64)
            progress.update(count)
    add_up = partial(sum_over_ranks, group=group)
    accuracy.combine(add_up)
    mistakes.combine(group)
    if accuracy.images != images:
        raise ValueError(f"evaluation saw {accuracy.images} images instead of {images}: has the folder changed?")
    loss = float(add_up(loss_sum)[0] / max(images, 1))
    return Result(images, loss, accuracy.top_1, accuracy.top_5, accuracy.confusion, mistakes.result())


def _pad(values: np.ndarray, count: int) -> np.ndarray:
    """Append zeros along the first axis: each number of images would be another graph to compile."""
    missing = count - len(values)
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]) if missing else values


def evaluation(config: Config, network: nn.Cell, images: UsableImages, group: Group) -> Callable[[], Result]:
    """Prepare the evaluation of a network on the configured test images.

    Args:
        config: The configuration.
        network: The network; evaluated with the weights that it has at each call, which should be equal on all ranks.
        images: The test images.
        group: The processes that share the images.

    Returns:
        A function that evaluates; its first call compiles the network.
    """
    evaluator = Evaluator(network, build_loss(config, "none"), config.num_classes, config.batch_size, group)

    def evaluate() -> Result:
        with readable_errors(images.source):
            return evaluator.evaluate(open_test_images(config, images, group, normalize=False), images.count)

    return evaluate


def open_test_images(
    config: Config, images: UsableImages, group: Group, normalize: bool = True
) -> ms.dataset.Dataset | None:
    """Return this process's share of the configured test images, None where there is none for it.

    Args:
        config: The configuration.
        images: The test images.
        group: The processes that share the images.
        normalize: As in create_dataset.
    """
    if not _share(images.count, group):
        return None
    return create_dataset(
        images.source,
        False,
        config.batch_size,
        group.size,
        group.rank,
        image_size=config.image_size,
        num_parallel_workers=workers(config),
        excluded=images.excluded,
        normalize=normalize,
    )


def _share(images: int, group: Group) -> int:
    """Return how many of the images this process evaluates: every size-th one, beginning with its rank."""
    return len(range(group.rank, images, group.size))


def write_report(config: Config, result: Result, images: UsableImages) -> list[Path]:
    """Write the files of the configured `eval_report`, none if there is none, and return their paths."""
    if not config.eval_report:
        return []
    folder = Path(config.eval_report)
    written = write_full_report(folder, _evaluated(config, result, images))
    return written + write_bad_images(folder / BAD_IMAGES, images)


def _evaluated(config: Config, result: Result, images: UsableImages) -> Evaluated:
    """Return what the report is about."""
    with readable_errors(images.source):
        mistaken = images.source.read([each.image for each in result.mistakes], images.excluded)
    figures = {
        "images": f"{result.images:,}",
        "loss": f"{result.loss:.4f}",
        "top-1": f"{result.top_1:.2%}",
        "top-5": f"{result.top_5:.2%}",
    }
    weights = Path(config.checkpoint_path or config.onnx_path)
    name = f"{weights.name} on {config.test_data_dir}"
    curves = weights.with_name(CURVES)
    return Evaluated(name, figures, result.confusion, images.class_names, result.mistakes, mistaken, curves)
