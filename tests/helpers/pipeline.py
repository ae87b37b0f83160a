"""Image files for the input pipeline, and what comes out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from src.dataset import create_dataset

SIZE = 71


def batches(*arguments, **options) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the image and label batches of create_dataset."""
    options = {"image_size": SIZE, "num_parallel_workers": 1, **options}
    dataset = create_dataset(*arguments, **options)
    return list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))


def write_image(path: Path, pixels: np.ndarray | int, size: tuple[int, int] = (80, 80)) -> None:
    """Write an image that keeps its pixels if the suffix is .png; a number makes it grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (pixels,) * 3) if isinstance(pixels, int) else Image.fromarray(pixels)
    image.save(path, {".PNG": "PNG"}.get(path.suffix.upper(), "JPEG"))
