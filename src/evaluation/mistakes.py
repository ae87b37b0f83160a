"""Which images a network gets wrong most confidently, and which classes it confuses most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.model_utils.local_adapter import Group, gather_from_ranks

MAX_MISTAKES = 24


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class.

    Args:
        image: Its number among the evaluated images, from 0.
        label: Its true class.
        predicted: The class with the largest logit.
        confidence: Softmax probability of that class, 0 to 1.
    """

    image: int
    label: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another one.

    Args:
        label: The true class.
        predicted: The other class.
        count: Number of these images, 1 or more.
        share: Their share of the true class's images, above 0 to 1.
    """

    label: int
    predicted: int
    count: int
    share: float


class ConfidentMistakes:
    """Keeps the most confident mistakes of an evaluation, batch by batch.

    Args:
        limit: How many are kept, 1 or more.
    """

    def __init__(self, limit: int = MAX_MISTAKES):
        self._limit = limit
        self._rows = np.zeros((0, 4))  # image, label, predicted, confidence

    def add(self, images: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> None:
        """Look at a batch.

        Args:
            images: Int (N,), numbers of the images.
            logits: Float (N, classes), finite.
            labels: Int (N,), true classes.
        """
        predicted = logits.argmax(1)
        wrong = predicted != labels
        if not wrong.any():
            return
        exact = logits[wrong].astype(np.float64)
        confidence = 1 / np.exp(exact - exact.max(1, keepdims=True)).sum(1)
        self._keep(np.stack([images[wrong], labels[wrong], predicted[wrong], confidence], axis=1))

    def combine(self, group: Group) -> None:
        """Keep the most confident mistakes of all ranks; each of them calls this."""
        if group.size == 1:
            return
        # A row of NaN is none: ranks have different numbers of mistakes.
        rows = np.full((self._limit, 4), np.nan)
        rows[: len(self._rows)] = self._rows
        gathered = gather_from_ranks(rows, group).reshape(-1, 4)
        self._rows = self._rows[:0]
        self._keep(gathered[~np.isnan(gathered[:, 0])])

    def result(self) -> tuple[Mistake, ...]:
        """Return the mistakes, the most confident one first."""
        return tuple(Mistake(int(i), int(label), int(guess), float(c)) for i, label, guess, c in self._rows)

    def _keep(self, rows: np.ndarray) -> None:
        rows = np.concatenate([self._rows, rows])
        # Of equal confidence the first image: the choice does not depend on batches or ranks.
        self._rows = rows[np.lexsort((rows[:, 0], -rows[:, 3]))][: self._limit]


def most_confused(confusion: np.ndarray, limit: int = 50) -> list[Confusion]:
    """Return the pairs of classes that are confused most.

    Args:
        confusion: Int (classes, classes), number of images by (true class, predicted class).
        limit: How many pairs at most.

    Returns:
        The pairs with at least one image, the most images first, then the larger share, then in the order of classes.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    totals = confusion.sum(1)
    labels, guesses = np.nonzero(wrong)
    counts = wrong[labels, guesses]
    shares = counts / totals[labels]
    order: Sequence[int] = np.lexsort((guesses, labels, -shares, -counts))[:limit]
    return [Confusion(int(labels[i]), int(guesses[i]), int(counts[i]), float(shares[i])) for i in order]
