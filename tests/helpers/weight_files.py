"""Conversion of weight files by this project and by the real packages, and what the results are compared by."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.checkpoints.weights import load_network, load_weights, read_weights
from src.dataset import read_image
from src.metadata.metadata import Metadata
from src.Xception import xception
from tests.helpers.deterministic import logits_of
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
    return logits_of(network, images(size))


def save_photo(folder: Path) -> Path:
    """Write photo.jpg, 400 x 400: waves in other colours, so that another crop or resize changes little."""
    down, across = np.mgrid[:400, :400] / 400
    waves = [
        130 + 80 * np.sin(2 * np.pi * (f * across + g * down) + h) for f, g, h in ((3, 1, 0), (2, 4, 1), (5, 2, 2))
    ]
    Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).save(folder / "photo.jpg", quality=95)
    return folder / "photo.jpg"


def assert_same_prediction(checkpoint: Path, photo: Path, expected: np.ndarray, bound: float) -> None:
    """Compare logits of a JPEG, prepared as the checkpoint says, with a package's through its own pipeline."""
    network, metadata, _ = load_network(checkpoint)
    image = read_image(photo, metadata.image_size, crop_pct=metadata.crop_pct, interpolation=metadata.interpolation)
    found = logits_of(network, image[None])
    assert set(np.argsort(found[0])[-5:]) == set(np.argsort(expected[0])[-5:])
    assert relative_error(found, expected) < bound


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def assert_same_weights(left: Path, right: Path) -> None:
    (first, ours, _), (second, theirs, _) = read_weights(left), read_weights(right)
    assert first.keys() == second.keys()
    assert (ours or Metadata()).pool_padding == (theirs or Metadata()).pool_padding
    assert all(np.array_equal(first[name], second[name]) for name in first)
