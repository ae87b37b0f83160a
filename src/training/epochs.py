"""The loop over the epochs of a training."""

from __future__ import annotations

import gc
from collections.abc import Callable

import mindspore as ms

from src.checkpoints.position import Position
from src.model_utils.config import Config
from src.model_utils.derived_settings import sinks_data


def run_epochs(
    model: ms.Model,
    new_dataset: Callable[[Position], ms.dataset.Dataset],
    callbacks: list[ms.train.Callback],
    config: Config,
    start: Position,
    *,
    has_ended: Callable[[], bool] = lambda: False,
) -> None:
    """Train from a position to the last epoch, or to one before it that a callback ends training with.

    Each epoch has a data set of its own, so that its images depend on seed and epoch alone and a resumed run sees the
    same ones. A sinking device is compiled for its data set, and so keeps one for all whole epochs,
    unless it has one order only.
    """
    position, epochs, sink = start, config.epoch_size, sinks_data(config)
    keeps = sink and config.sampler != "balanced"
    while position.epoch < epochs and not has_ended():
        last = epochs if keeps and not position.step else position.epoch + 1
        model.train(last, new_dataset(position), callbacks, sink, initial_epoch=position.epoch)
        gc.collect()  # MindSpore's data sets hold themselves, and with them the names of all images
        position = Position(last)
