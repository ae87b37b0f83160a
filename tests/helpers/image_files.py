"""Files of every format that training reads, and trees of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photograph() -> Image.Image:
    """Return a picture with smooth parts and noise, as a camera makes them."""
    down, across = np.mgrid[:64, :96]
    smooth = np.stack([2 * across, 3 * down, 255 - 2 * across], axis=2)
    noise = np.random.RandomState(0).randint(-20, 20, smooth.shape)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def good_files() -> dict[str, bytes]:
    image = photograph()
    return {
        "baseline.jpg": encode(image, "JPEG"),
        "progressive.jpeg": encode(image, "JPEG", progressive=True),
        "grey.jpg": encode(image.convert("L"), "JPEG"),
        "cmyk.JPEG": encode(image.convert("CMYK"), "JPEG"),
        "camera.jpg": encode(image, "MPO", save_all=True, append_images=[image]),
        "upper.PNG": encode(image, "PNG"),
        "palette.png": encode(image.convert("P"), "PNG"),
        "deep.png": encode(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG"),
        "png_inside.jpg": encode(image, "PNG"),
        "plain.bmp": encode(image, "BMP"),
        "plain.tif": encode(image, "TIFF"),
        "packed.TIFF": encode(image, "TIFF", compression="tiff_lzw"),
    }


GOOD = good_files()

JPEGS = ["baseline.jpg", "progressive.jpeg", "grey.jpg", "cmyk.JPEG"]


def make_tree(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(GOOD["baseline.jpg"])


def read_pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
