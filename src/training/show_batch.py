"""A picture of what a training is about to be fed, in the place of the training."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms

from src.common.counted import counted
from src.common.files import atomic_write, move_aside, printable
from src.training.first_batch import read_first_batch
from src.training.folder import Training

_MOST = 32  # more images than that are a picture that nobody looks at


def show_batch(training: Training, dataset: ms.dataset.Dataset) -> None:
    """Draw the first images that a training would be fed, and say where they are; only the first rank does.

    Args:
        training: With `show_batch`, the file; one that is there already moves to `earlier-N` beside it.
        dataset: The data set that training would begin or go on with.

    Raises:
        ValueError: If an image cannot be read.
        OSError: If the picture cannot be written.
    """
    if training.group.rank != 0:
        return
    path, position = Path(training.config.show_batch), training.start.position
    batch = read_first_batch(training, dataset)
    content = batch.draw(_MOST)
    if aside := move_aside([path], path.parent):
        print(f"the picture that was there is in {printable(aside)} now", flush=True)
    atomic_write(path, content)
    count = len(batch.images)
    by_this = " by this process" if training.group.size > 1 else ""
    print(
        f"{printable(path)}: {min(count, _MOST)} of the {counted(count, 'image')} that step {position.step + 1} of "
        f"epoch {position.epoch + 1} is fed{by_this}; nothing was trained",
        flush=True,
    )
