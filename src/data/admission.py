"""The first operation of every input pipeline: encoded images that may be decoded pass, the others are refused."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from src.data.image_header import is_webp
from src.data.image_limits import ImageLimits


class Admission:
    """Refuses images that are beyond limits, and turns those that MindSpore's decoder does not know into BMP.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: ImageLimits):
        self._limits = limits

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """Let an image pass.

        Args:
            data: Uint8 (bytes,), the content of the file.

        Returns:
            The same, or of a WebP file the same pixels as BMP.

        Raises:
            ValueError: If the image is not to be decoded, with the reason.
        """
        content = data.tobytes()
        self._limits.check(content)
        return np.frombuffer(_webp_to_bmp(content), np.uint8) if is_webp(content) else data


def _webp_to_bmp(content: bytes) -> bytes:
    """Return the first picture of a WebP file without its alpha channel, as other formats are read."""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
            image.convert("RGB").save(buffer, "BMP")
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"the WebP file cannot be decoded: {reason}") from error
    return buffer.getvalue()
