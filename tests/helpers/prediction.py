"""A configuration for the prediction by a small training's network."""

from __future__ import annotations

from pathlib import Path

from src.model_utils.config import Config, parse_config
from tests.helpers.training_run import options

ONE_WORKER = "--num_parallel_workers=1"  # each process that checks images imports MindSpore


def configuration(data: Path, checkpoint: Path) -> Config:
    words = [word for word in options(data, Path("unused")) if not word.startswith("--num_classes")]
    return parse_config([*words, ONE_WORKER, f"--checkpoint_path={checkpoint}"], lambda device: device)
