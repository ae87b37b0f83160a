"""JPEG decoding with the processor's vector instructions, which MindSpore's own decoder does without."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from mindspore.dataset import vision

JPEG_START = b"\xff\xd8"
_OTHERWISE_CONVERTED = ("CMYK", "YCCK")  # MindSpore has its own formula for these


def has_fast_decoder() -> bool:
    """Tell whether the package simplejpeg is installed."""
    return find_spec("simplejpeg") is not None


def decode_jpeg(data: np.ndarray) -> np.ndarray:
    """Decode an image by simplejpeg, which must be installed, to the pixels that MindSpore's decoder gives.

    What simplejpeg cannot decode to these, such as a PNG file, goes to MindSpore, which holds up the other threads. Of
    damaged files that both decoders accept, the damaged part may look different.

    Args:
        data: Uint8 (bytes,), the content of the file.

    Returns:
        Uint8 (H, W, 3), RGB.

    Raises:
        RuntimeError: If MindSpore cannot decode it either.
    """
    import simplejpeg

    try:
        if simplejpeg.decode_jpeg_header(data)[2] not in _OTHERWISE_CONVERTED:
            return simplejpeg.decode_jpeg(data)
    except ValueError:  # damaged, or no JPEG
        pass
    return vision.Decode()(data)
