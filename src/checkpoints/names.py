"""Names of the files that training writes, all into one folder."""

from __future__ import annotations

import re
from pathlib import Path

from src.checkpoints.position import Position

METRICS = "metrics.csv"
CURVES = "curves.png"
BAD_IMAGES = "bad_images.txt"
BEST_CHECKPOINT = "Xception-best.ckpt"

_NUMBERED = re.compile(r"Xception-rank0-(\d+)_(\d+)\.ckpt")  # all ranks hold the same weights: the first saves them


def checkpoint_name(position: Position) -> str:
    """Return the file name `Xception-rank0-<epoch>_<step>.ckpt`; epochs count from 1, as MindSpore writes them."""
    if position.step:
        return f"Xception-rank0-{position.epoch + 1}_{position.step}.ckpt"
    return f"Xception-rank0-{position.epoch}_{position.steps_per_epoch}.ckpt"


def numbered_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints that `checkpoint_name` names.

    Args:
        folder: Where to look; need not exist.

    Returns:
        The files, oldest training position first.
    """
    found = [(match, path) for path in folder.glob("*.ckpt") if (match := _NUMBERED.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda item: (int(item[0][1]), int(item[0][2])))]
