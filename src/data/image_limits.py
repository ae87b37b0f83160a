"""How large an image may be: decided by its header, before anything is decoded, the same wherever images are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.data.image_header import image_size
from src.model_utils.config import Config

MAX_IMAGE_PIXELS = 178_956_970  # Pillow's own limit, 512 MB at three bytes a pixel
MAX_SIDE = 1 << 14  # what evaluation, here and in the program for the Ascend 310, resizes to at most
_RECIPE_SIDE = 320  # evaluation's shorter side before the crop


@dataclass(frozen=True)
class ImageLimits:
    """What an image must keep to, so that a small file cannot take all memory.

    Args:
        max_pixels: Most pixels of an image, height x width, 1 or more.
        resized_side: Shorter side, in pixels, that evaluation resizes images to. Training keeps to it too: an image
            that cannot be evaluated is of no use.
    """

    max_pixels: int = MAX_IMAGE_PIXELS
    resized_side: int = _RECIPE_SIDE

    @classmethod
    def of(cls, config: Config) -> ImageLimits:
        """Return the limits of a configuration, with `max_image_pixels`, `image_size` and `crop_pct`."""
        return cls(config.max_image_pixels, round(config.image_size / config.crop_pct))

    def check(self, content: bytes) -> None:
        """Raise ValueError with the reason if an encoded image is none of a known kind, too large or too elongated."""
        width, height = image_size(content)
        if width * height > self.max_pixels:
            raise ValueError(f"{width} x {height} pixels, more than max_image_pixels, {self.max_pixels}")
        # In float32, as MindSpore computes the longer side.
        ratio = np.float32(max(width, height)) / np.float32(min(width, height))
        if np.floor(ratio * np.float32(self.resized_side)) * np.float32(self.resized_side) > np.float32(MAX_SIDE**2):
            raise ValueError(f"too elongated: {width} x {height} pixels")


RECIPE_LIMITS = ImageLimits()
