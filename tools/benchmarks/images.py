"""Real JPEG files for benchmarks, made on the fly: as large as ImageNet's usual ones, and as hard to decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from src.common.files import naming

_WIDTH, _HEIGHT = 500, 375
_QUALITY = 90
_CLASSES = 4
_OCTAVES = 8


def write_images(folder: Path, count: int) -> None:
    """Write textures as image folders of four classes, the same ones each time.

    Args:
        folder: Where to; created if missing.
        count: Number of images, 1 or more.
    """
    for number in range(count):
        path = folder / str(number % _CLASSES) / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path):
            _texture(np.random.default_rng(number)).save(path, quality=_QUALITY)


def _texture(random: np.random.Generator) -> Image.Image:
    """Return noise that is weaker the finer it is, as in photographs."""
    pixels = np.full((_HEIGHT, _WIDTH, 3), 127.5)
    for octave in range(_OCTAVES):
        grid = random.integers(0, 256, (3 * 2**octave, 4 * 2**octave, 3), np.uint8)
        layer = Image.fromarray(grid).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
        pixels += (np.asarray(layer, np.float64) - 127.5) / 2 ** (octave / 2 + 1)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
