"""The classes of an image in the order of their probability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one image, best first.

    Args:
        path: The image.
        classes: Numbers of the classes.
        probabilities: Their softmax probabilities, 0 to 1.
    """

    path: Path
    classes: tuple[int, ...]
    probabilities: tuple[float, ...]

    def first(self, count: int) -> Prediction:
        """Return the best classes alone, all where there are fewer."""
        return Prediction(self.path, self.classes[:count], self.probabilities[:count])


def rank(path: Path, logits: np.ndarray) -> Prediction:
    """Rank all classes of an image; of equal ones the lower number comes first, as in evaluation.

    Args:
        path: The image.
        logits: Float (classes,).

    Raises:
        ValueError: If a logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise ValueError(f"the network's logits for {path} are NaN or infinite: its weights are no good")
    powers = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = powers / powers.sum()
    best = np.argsort(-probabilities, kind="stable")
    return Prediction(path, tuple(best.tolist()), tuple(probabilities[best].tolist()))
