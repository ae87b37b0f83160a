"""Normalisation of images on the device, so that bytes leave the input pipeline: a quarter of the memory to move."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

MEAN = STD = 127.5  # of each channel: maps 0..255 to -1..1


class Normalization(nn.Cell):
    """Turns images as they leave the input pipeline into what the network takes; float images stay as they are.

    Inputs:
        - **image** (Tensor) - uint8 (N, H, W, 3), RGB, or floats (N, 3, H, W), normalised already.

    Outputs:
        Tensor, float32 (N, 3, H, W), (value - 127.5) / 127.5, or the floats.
    """

    def construct(self, image: Tensor) -> Tensor:
        if image.dtype != ms.uint8:
            return image
        return (ops.transpose(ops.cast(image, ms.float32), (0, 3, 1, 2)) - MEAN) / STD


class WithNormalization(nn.Cell):
    """A network with the normalisation in front of it; its parameters keep their names.

    Args:
        network (nn.Cell): takes normalised images.

    Inputs:
        - **image** (Tensor) - as Normalization takes it.

    Outputs:
        What the network gives.
    """

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.normalization = Normalization()
        self.network = network

    def construct(self, image: Tensor) -> Tensor:
        return self.network(self.normalization(image))


def to_pixels(images: np.ndarray) -> np.ndarray:
    """Undo the normalisation of a batch.

    Args:
        images: As Normalization takes them.

    Returns:
        Uint8 (N, H, W, 3), RGB.
    """
    if images.dtype == np.uint8:
        return images
    return np.clip(np.rint(images * STD + MEAN), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
