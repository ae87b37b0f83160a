"""The images that a training is about to be fed, as pixels with the names of their classes, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np

from src.common.contact_sheet import contact_sheet
from src.data.augmentation import class_shares
from src.data.image_limits import ImageLimits
from src.data.normalization import to_pixels
from src.dataset import readable_errors
from src.model_utils.derived_settings import label_smoothing
from src.training.folder import Training

_LEAST_SHARE = 0.005  # of a class that is named: what rounds to 1 %


class FirstBatch(NamedTuple):
    """A batch of training.

    Args:
        images: Uint8 (N, H, W, 3), RGB.
        captions: The classes of each image: a name, or a line for each with its share.
    """

    images: np.ndarray
    captions: list[list[str]]

    def draw(self, most: int) -> bytes:
        """Return a PNG file of the first images, as many as `most`."""
        return contact_sheet(self.images[:most], self.captions[:most])


def read_first_batch(training: Training, dataset: ms.dataset.Dataset) -> FirstBatch:
    """Read what the network is fed first.

    Args:
        training: With the configuration and the classes.
        dataset: The data set that training begins or goes on with.

    Raises:
        ValueError: If an image cannot be read.
    """
    config, source = training.config, training.images.source
    with readable_errors(source, ImageLimits.of(config)):
        batches = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
        images, labels = next(batches)
    batches.stop()
    if config.gradient_accumulation > 1:  # the batches of a step, one after another
        images, labels = (column.reshape(-1, *column.shape[2:]) for column in (images, labels))
    names = training.images.class_names
    if labels.ndim == 1:
        return FirstBatch(to_pixels(images), [[names[label]] for label in labels])
    shares = class_shares(labels, label_smoothing(config))
    return FirstBatch(to_pixels(images), [_caption(row, names) for row in shares])


def _caption(shares: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the classes of an image, that of the largest share first."""
    present = [int(label) for label in np.argsort(-shares, kind="stable") if shares[label] >= _LEAST_SHARE]
    if len(present) == 1:
        return [names[present[0]]]
    return [f"{100 * shares[label]:.0f} % {names[label]}" for label in present]
