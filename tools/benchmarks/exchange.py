"""What another framework needs to do the same work: weights and batches, in a file of NumPy's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WEIGHT = "weight:"


@dataclass(frozen=True)
class Exchange:
    """Work for another framework.

    Args:
        weights: The parameters of the network at its beginning, by our names and in our order.
        images: Uint8 (steps, batch_size, height, width, 3); or float32 (steps, batch_size, 3, height, width),
            normalised.
        labels: Int32 (steps, batch_size).
        smoothing: Share of a label that goes to the wrong classes.
        trained: Names of the parameters that are trained, in the order in which training tells their norms.
    """

    weights: dict[str, np.ndarray]
    images: np.ndarray
    labels: np.ndarray
    smoothing: float
    trained: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write it to a file."""
        weights = {f"{_WEIGHT}{name}": value for name, value in self.weights.items()}
        with path.open("wb") as file:
            np.savez(
                file,
                images=self.images,
                labels=self.labels,
                smoothing=np.float64(self.smoothing),
                trained=np.array(self.trained),
                **weights,
            )


def read_exchange(path: Path) -> Exchange:
    """Return what a file holds that an Exchange has written."""
    with np.load(path) as file:
        weights = {name.removeprefix(_WEIGHT): file[name] for name in file.files if name.startswith(_WEIGHT)}
        trained = tuple(map(str, file["trained"]))
        return Exchange(weights, file["images"], file["labels"], float(file["smoothing"]), trained)
