"""Top-1 and top-5 accuracy, counted from logits alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

TOP = 5


def place_of_label(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Tell how many classes stand before the true one when classes are sorted by falling logit.

    Args:
        logits: Float (N, classes), finite.
        label: Int (N,), true classes.

    Returns:
        Int (N,), 0 for a correct prediction. Of equal logits the lower class stands first, as argmax has it.
    """
    own = logits[np.arange(len(label)), label][:, None]
    lower = np.arange(logits.shape[1]) < label[:, None]
    return ((logits > own) | ((logits == own) & lower)).sum(1)


class Accuracy:
    """Counts correct predictions batch by batch.

    Args:
        num_classes: Number of classes, 1 or more.

    Attributes:
        confusion: Number of images by (true class, predicted class), int64.
    """

    def __init__(self, num_classes: int):
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self._in_top = 0

    def add(self, logits: np.ndarray, label: np.ndarray) -> None:
        """Count a batch: finite logits, float (N, num_classes), and true classes, int (N,)."""
        np.add.at(self.confusion, (label, logits.argmax(1)), 1)
        self._in_top += int((place_of_label(logits, label) < TOP).sum())

    def combine(self, add_up: Callable[[np.ndarray], np.ndarray]) -> None:
        """Count what other processes have counted too; `add_up` sums an int64 array over all of them."""
        self.confusion = add_up(self.confusion)
        self._in_top = int(add_up(np.array([self._in_top], np.int64))[0])

    @property
    def images(self) -> int:
        """Number of images counted."""
        return int(self.confusion.sum())

    @property
    def top_1(self) -> float:
        """Share of images whose class has the largest logit, 0 to 1."""
        return float(self.confusion.trace() / max(self.images, 1))

    @property
    def top_5(self) -> float:
        """Share of images whose class is among the five largest logits, 0 to 1."""
        return self._in_top / max(self.images, 1)

    def to_line(self) -> str:
        """Return the line `Top_1_Acc: 79.886%, Top_5_Acc: 94.882%`."""
        return f"Top_1_Acc: {self.top_1:.3%}, Top_5_Acc: {self.top_5:.3%}"

    def to_model_zoo_line(self) -> str:
        """Return the line `Top_1_Acc=79.886%, Top_5_Acc=94.882%`, which programs for the model zoo's output read."""
        return f"Top_1_Acc={100 * self.top_1}%, Top_5_Acc={100 * self.top_5}%"
