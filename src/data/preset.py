"""What happens to an image between its file and a batch, in training and in evaluation: one value for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindspore.dataset import vision

from src.data.augmentation import Augmentation
from src.data.image_limits import MAX_IMAGE_PIXELS, MAX_SIDE, ImageLimits
from src.data.jpeg_decoder import decode_jpeg
from src.data.normalization import MEAN, STD

DEFAULT_IMAGE_SIZE = 299
CROP_PCT = 299 / 320
INTERPOLATION = "bilinear"
RECIPE = Augmentation()
_ASPECT_RATIO = (3 / 4, 4 / 3)  # width by height of a training crop
_INTERPOLATIONS = {"bilinear": vision.Inter.BILINEAR, "bicubic": vision.Inter.BICUBIC}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The preprocessing of images.

    Args:
        image_size: Height and width of the results in pixels, 1 or more.
        crop_pct: Side of evaluation's centre crop as a share of the resized shorter side, above 0 to 1.
        interpolation: How evaluation resizes, a word of INTERPOLATIONS of src.metadata.metadata.
        crop_min_area: Least share of the image's area that a training crop takes, in (0, 1].
        flip_probability: Share of the training images that are flipped left to right, 0 to 1.
        augmentation: What the training images undergo beside crop and mirroring.
        max_image_pixels: Most pixels, height x width, of an image that is decoded, 1 or more.
        normalize: Whether to normalise, (value - 127.5) / 127.5; an augmentation that changes batches always does, as
            it takes normalised images.

    Raises:
        ValueError: If evaluation cannot resize like this.
    """

    image_size: int = DEFAULT_IMAGE_SIZE
    crop_pct: float = CROP_PCT
    interpolation: str = INTERPOLATION
    crop_min_area: float = 0.08
    flip_probability: float = 0.5
    augmentation: Augmentation = RECIPE
    max_image_pixels: int = MAX_IMAGE_PIXELS
    normalize: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct must be above 0 and at most 1, got {self.crop_pct}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {', '.join(_INTERPOLATIONS)}, got {self.interpolation}")
        if self.image_size > MAX_SIDE * self.crop_pct:
            raise ValueError(
                f"with crop_pct {self.crop_pct} and image_size {self.image_size}, evaluation would resize images to "
                f"more than {MAX_SIDE} pixels: use a larger crop_pct"
            )

    def training(self) -> list[Any]:
        """Return the operations of training, one after another, on an encoded image, uint8 (bytes,).

        They end in float32 (3, image_size, image_size) normalised, or else in uint8 (image_size, image_size, 3), RGB.
        """
        return [
            vision.RandomCropDecodeResize(self.image_size, scale=(self.crop_min_area, 1.0), ratio=_ASPECT_RATIO),
            self._flips(),
            *self.augmentation.image_transforms(),
            *(_normalization() if self.normalize or self.augmentation.changes_batches else []),
        ]

    def _flips(self) -> Any:
        across, down = float(self.flip_probability), float(self.augmentation.vertical_flip)
        if not down:
            return vision.RandomHorizontalFlip(across)
        # Two operations would draw the same numbers, and so flip the same images: one operation draws for both.
        return vision.RandomSelectSubpolicy([[(vision.HorizontalFlip(), across), (vision.VerticalFlip(), down)]])

    def evaluation(self, fast_jpeg: bool = False) -> list[Any]:
        """Return the operations of evaluation, with the results of training's.

        Args:
            fast_jpeg: Whether to decode by decode_jpeg, to the same pixels.
        """
        return [
            decode_jpeg if fast_jpeg else vision.Decode(),
            vision.Resize(self.resized_side, _INTERPOLATIONS[self.interpolation]),
            vision.CenterCrop(self.image_size),
            *(_normalization() if self.normalize else []),
        ]

    @property
    def limits(self) -> ImageLimits:
        """What an image must keep to before it is decoded."""
        return ImageLimits(self.max_image_pixels, self.resized_side)

    @property
    def seen_share(self) -> float:
        """The side of evaluation's centre crop as a share of the image's shorter side, 0 to 1."""
        return self.image_size / self.resized_side

    @property
    def resized_side(self) -> int:
        """The shorter side before evaluation's centre crop, in pixels."""
        return round(self.image_size / self.crop_pct)


def _normalization() -> list[Any]:
    return [vision.Normalize((MEAN,) * 3, (STD,) * 3), vision.HWC2CHW()]
