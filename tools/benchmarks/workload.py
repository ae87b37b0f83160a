"""What a process does in each round of a benchmark, by whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

Values = dict[str, np.ndarray]

LEARNING_RATE = 1e-4  # so low that rounding errors do not grow in a round


class Workload(ABC):
    """What a process does in each round of a benchmark."""

    @abstractmethod
    def run(self) -> None:
        """Do one round; all rounds have the same results."""

    @abstractmethod
    def result(self) -> Values:
        """Return what the last round came to, for comparison, and go back to where it began; takes none of its time."""
