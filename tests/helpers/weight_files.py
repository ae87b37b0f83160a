"""Conversion of weight files by this project and by the real packages, and what the results are compared by."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoints.weights import load_weights, read_weights
from src.Xception import xception
from tests.helpers.project import ROOT
from tests.helpers.real_packages import CLASSES, images
from tools.convert_weights import main

PACKAGES = {"keras": ("keras", "jax", "h5py"), "timm": ("timm", "torch", "torchvision", "safetensors")}


def need(*modules: str) -> None:
    """Skip where a package is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed (requirements-convert-test*.txt): {', '.join(missing)}")


def run_package(package: str, command: str, folder: Path, *sizes: int) -> None:
    words = [
        sys.executable,
        str(ROOT / "tests" / "helpers" / "real_packages.py"),
        package,
        command,
        str(folder),
        *map(str, sizes),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr


def convert(source: Path, out: Path, *options: str) -> Path:
    main([str(source), str(out), *options])
    return out


def logits(checkpoint: Path, size: int) -> np.ndarray:
    network = xception(CLASSES)
    load_weights(network, checkpoint)
    return network.set_train(False)(Tensor(images(size))).asnumpy()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def assert_same_weights(left: Path, right: Path) -> None:
    (first, padding), (second, other_padding) = read_weights(left), read_weights(right)
    assert first.keys() == second.keys() and padding == other_padding
    assert all(np.array_equal(first[name], second[name]) for name in first)
