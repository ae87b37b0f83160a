"""The commands that `pip install .` installs: each runs the door of its name, as `python train.py` does."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def train() -> None:
    """Run train.py."""
    _run("train.py")


def evaluate() -> None:
    """Run eval.py."""
    _run("eval.py")


def predict() -> None:
    """Run predict.py."""
    _run("predict.py")


def export() -> None:
    """Run export.py."""
    _run("export.py")


def _run(door: str) -> None:
    """Run a script at the top of the tree; its status is that of the process."""
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root))
    sys.argv[0] = str(root / door)
    runpy.run_path(sys.argv[0], run_name="__main__")
