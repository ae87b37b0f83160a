"""MindSpore's profile of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mindspore as ms

from src.model_utils.config import Config


@contextmanager
def profiling(config: Config, folder: Path) -> Iterator[None]:
    """Write MindSpore's profile of the block, if the configuration asks for it."""
    if not config.enable_profiling:
        yield
        return
    profiler = ms.Profiler(output_path=str(folder / "profile"))
    try:
        yield
    finally:
        profiler.analyse()
