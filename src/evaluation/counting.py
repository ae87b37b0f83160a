"""Loss, top-1 and top-5 over every image of a data set, each counted exactly once, whatever computes the logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from src.common.progress import Progress
from src.evaluation.accuracy import Accuracy
from src.evaluation.mistakes import ConfidentMistakes, Mistake
from src.model_utils.local_adapter import ALONE, Group, sum_over_ranks

if TYPE_CHECKING:
    from mindspore.dataset import Dataset


Run = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Engine:
    """What computes the logits and losses of a batch; made by engines.

    Args:
        run: Maps images, float32 (batch_size, 3, height, width), and labels, int32 (batch_size,), to logits, float32
            (batch_size, num_classes), and losses, float32 (batch_size,).
        num_classes: Number of classes, 1 or more.
        batch_size: Images in a batch, 1 or more.
        normalizes: Whether it takes images as they are decoded; else they must be normalised.
    """

    run: Run
    num_classes: int
    batch_size: int
    normalizes: bool


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


def evaluate(
    engine: Engine,
    dataset: Dataset | None,
    images: int,
    group: Group = ALONE,
    classes: Sequence[int] | None = None,
) -> Result:
    """Evaluate every image of a data set and show the progress.

    Args:
        engine: Computes logits and losses.
        dataset: This process's share of an evaluation data set of create_dataset, in batches of the engine's size; the
            last one may be smaller. None where there are fewer images than processes and this one has none.
        images: Number of images that all processes should see together, 1 or more.
        group: The processes that share the images.
        classes: The engine's class of each label of the data set; None where these are the engine's own.

    Returns:
        The result of all processes.

    Raises:
        ValueError: If a logit is NaN or infinite, or the data set did not hold that many images.
    """
    accuracy = Accuracy(engine.num_classes)
    mistakes = ConfidentMistakes()
    numbers = None if classes is None else np.array(classes, np.int32)
    loss_sum = np.zeros(1)
    seen = 0
    with Progress(share(images, group), "evaluate") as progress:
        for image, label in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True) if dataset else ():
            label = label if numbers is None else numbers[label]
            count = len(label)
            padded = _pad(image, engine.batch_size), _pad(label, engine.batch_size)
            logits, losses = (values[:count] for values in engine.run(*padded))
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
    return Result(
        images=images,
        loss=float(add_up(loss_sum)[0] / max(images, 1)),
        top_1=accuracy.top_1,
        top_5=accuracy.top_5,
        confusion=accuracy.confusion,
        mistakes=mistakes.result(),
    )


def share(images: int, group: Group) -> int:
    """Return how many of the images this process evaluates: every size-th one, beginning with its rank."""
    return len(range(group.rank, images, group.size))


def _pad(values: np.ndarray, count: int) -> np.ndarray:
    """Append zeros along the first axis: each number of images would be another graph to compile."""
    missing = count - len(values)
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]) if missing else values
