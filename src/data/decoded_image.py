"""An image as the network's decoder sees it, for pictures of what the network was given."""

from __future__ import annotations

import numpy as np
from mindspore.dataset import vision
from PIL import Image

from src.data.admission import Admission
from src.data.image_limits import ImageLimits

_NO_LIMITS = ImageLimits(1 << 62, 1)  # what is drawn was decoded before


def decoded_image(content: bytes) -> Image.Image:
    """Decode an image that training or evaluation has read.

    Args:
        content: The content of its file.

    Returns:
        The picture, RGB: without alpha channel, not rotated by EXIF data, of 16 bits the upper eight.

    Raises:
        ValueError: If it can no longer be decoded.
    """
    try:
        return Image.fromarray(vision.Decode()(Admission(_NO_LIMITS)(np.frombuffer(content, np.uint8))))
    except RuntimeError as error:
        raise ValueError("MindSpore cannot decode the image") from error
