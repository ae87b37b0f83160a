"""Labels as probabilities."""

from __future__ import annotations

import numpy as np


def smoothed(label: np.ndarray, classes: int, smooth: float) -> np.ndarray:
    if classes == 1:
        return np.ones((len(label), 1))
    target = np.full((len(label), classes), smooth / (classes - 1))
    target[np.arange(len(label)), label] = 1 - smooth
    return target
