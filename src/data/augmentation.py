"""What training images undergo beside crops and mirroring: changes of each image, and of a batch of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from mindspore.dataset import vision

NONE = "none"
_AUTO, _TRIVIAL = "autoaugment", "trivialaugment"
AUTO_AUGMENTS = (NONE, _AUTO, _TRIVIAL)
MAGNITUDES = 31  # RandAugment counts them from 0 to 30, TrivialAugment draws one of them
ERASED_AREA = (0.02, 0.4)  # share of the image, and
ERASED_RATIO = (0.3, 1 / 0.3)  # height by width of the rectangle, in the paper on random erasing
_GREY = 128  # fills what such operations move into the image: about 0 once it is normalised


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What training images undergo beside crops and mirroring; the recipe's changes of colour by default.

    Args:
        vertical_flip: Share of the images that are turned upside down, 0 to 1.
        color_jitter: Largest change of brightness, contrast and saturation, up or down, as a share, 0 (none) or more;
            each is drawn evenly. What is drawn by `auto_augment` or `rand_augment` takes its place.
        auto_augment: A word of AUTO_AUGMENTS: "autoaugment" applies one of the 25 pairs of operations that were learned
            on ImageNet (Cubuk et al. 2018, arXiv 1805.09501), "trivialaugment" one operation of any magnitude
            (Mueller and Hutter 2021, arXiv 2103.10158), "none" nothing.
        rand_augment: Magnitude of RandAugment (Cubuk et al. 2019, arXiv 1909.13719), 0 (off) to 30.
        rand_augment_layers: Operations that RandAugment applies to an image one after another, 1 or more.
        mixup: Both parameters of the beta distribution of mixup's shares (Zhang et al. 2017, arXiv 1710.09412), 0 (off)
            or more.
        cutmix: The same of cutmix (Yun et al. 2019, arXiv 1905.04899). Where both are on, a batch gets one or the
            other, each half of the time.
        random_erasing: Share of the images in which a rectangle is replaced by noise (Zhong et al. 2017,
            arXiv 1708.04896), 0 to 1.
        label_smoothing: Share of the label that goes to the wrong classes, in [0, 1), where mixup or cutmix turn the
            labels into probabilities; others are smoothed by the loss.

    Raises:
        ValueError: If `auto_augment` is another word, or there is RandAugment too.
    """

    vertical_flip: float = 0.0
    color_jitter: float = 0.4
    auto_augment: str = NONE
    rand_augment: int = 0
    rand_augment_layers: int = 2
    mixup: float = 0.0
    cutmix: float = 0.0
    random_erasing: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.auto_augment not in AUTO_AUGMENTS:
            raise ValueError(f"auto_augment must be one of {', '.join(AUTO_AUGMENTS)}, got {self.auto_augment}")
        if self.auto_augment != NONE and self.rand_augment:
            raise ValueError(
                f"auto_augment is {self.auto_augment} and rand_augment {self.rand_augment}: each takes the place of "
                "the changes of colour, so leave one of them out"
            )

    @property
    def replaces_colours(self) -> bool:
        """Whether other operations take the place of the changes of colour."""
        return self.auto_augment != NONE or self.rand_augment > 0

    @property
    def mixes(self) -> bool:
        """Whether labels become probabilities of all classes."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def changes_batches(self) -> bool:
        """Whether batches need a BatchAugmentation."""
        return self.mixes or self.random_erasing > 0

    def image_transforms(self) -> list[Any]:
        """Return what changes colours, or more, of a decoded image, uint8 (H, W, 3), one after another."""
        moved = (vision.Inter.BILINEAR, _GREY)
        if self.auto_augment == _AUTO:
            return [vision.AutoAugment(vision.AutoAugmentPolicy.IMAGENET, *moved)]
        if self.auto_augment == _TRIVIAL:
            return [vision.TrivialAugmentWide(MAGNITUDES, *moved)]
        if self.rand_augment:
            return [vision.RandAugment(self.rand_augment_layers, self.rand_augment, MAGNITUDES, *moved)]
        change = float(self.color_jitter)
        return [vision.RandomColorAdjust(brightness=change, contrast=change, saturation=change)] if change else []


class BatchInfo(Protocol):
    """What MindSpore tells of a batch."""

    def get_epoch_num(self) -> int:
        """Return the number of the epoch of this data set, from 0."""

    def get_batch_num(self) -> int:
        """Return the number of the batch, from 0."""


class BatchAugmentation:
    """Erases parts of the images of a batch, then mixes them; to be given to Dataset.batch as `per_batch_map`.

    The random numbers of a batch follow from the seed and the number of the batch, so that the threads which make the
    batches, and their number, do not matter.

    Args:
        augmentation: What to do.
        num_classes: Number of classes, 1 or more.
        seed: Seeds of the random numbers, each at least 0, such as those of the epoch and of the rank.
    """

    def __init__(self, augmentation: Augmentation, num_classes: int, seed: tuple[int, ...]):
        self._augmentation = augmentation
        self._seed = seed
        off, on = _smoothed(num_classes, augmentation.label_smoothing)
        self._targets = np.full((num_classes, num_classes), off, np.float32)
        np.fill_diagonal(self._targets, on)

    def __call__(
        self, images: list[np.ndarray], labels: list[np.ndarray], info: BatchInfo
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change a batch.

        Args:
            images: Float32 (3, H, W) each, in [-1, 1].
            labels: Int32 scalars, the class of each image.
            info: The number of the batch.

        Returns:
            The images, float32 (N, 3, H, W), and the labels: int32 (N,), or with mixup or cutmix float32
            (N, num_classes), each row the probabilities of the classes.
        """
        random = np.random.default_rng((*self._seed, info.get_epoch_num(), info.get_batch_num()))
        image, label = np.stack(images), np.stack(labels)
        for index in np.flatnonzero(random.random(len(image)) < self._augmentation.random_erasing):
            erase(image[index], random)
        if not self._augmentation.mixes:
            return image, label
        target = self._targets[label]
        partner = random.permutation(len(image))
        if self._takes_mixup(random):
            share = mixup(image, partner, random.beta(self._augmentation.mixup, self._augmentation.mixup))
        else:
            share = cutmix(image, partner, random.beta(self._augmentation.cutmix, self._augmentation.cutmix), random)
        return image, np.float32(share) * target + np.float32(1 - share) * target[partner]

    def _takes_mixup(self, random: np.random.Generator) -> bool:
        if self._augmentation.mixup and self._augmentation.cutmix:
            return bool(random.integers(2))
        return self._augmentation.mixup > 0


def mixup(images: np.ndarray, partner: np.ndarray, share: float) -> float:
    """Blend images with each other, in place (Zhang et al. 2017, section 2).

    Args:
        images: Float32 (N, 3, H, W).
        partner: Int (N,), the number of the image that each is blended with.
        share: What an image keeps of itself, 0 to 1.

    Returns:
        The same share.
    """
    others = images[partner]
    others *= np.float32(1 - share)
    images *= np.float32(share)
    images += others
    return share


def cutmix(images: np.ndarray, partner: np.ndarray, share: float, random: np.random.Generator) -> float:
    """Paste a rectangle of another image into each image, in place (Yun et al. 2019, section 3.1).

    Args:
        images: Float32 (N, 3, H, W).
        partner: Int (N,), the number of the image that each gets the rectangle of.
        share: What an image keeps of itself where the rectangle lies wholly inside, 0 to 1.
        random: Chooses the centre of the rectangle, the same for all images.

    Returns:
        The share that an image did keep, as the rectangle ends at the image's edges.
    """
    sides = images.shape[2:]
    low, high = [], []
    for side in sides:
        cut = round(side * np.sqrt(1 - share))
        start = int(random.integers(side)) - cut // 2
        low.append(max(start, 0))
        high.append(min(start + cut, side))
    rectangle = (..., slice(low[0], high[0]), slice(low[1], high[1]))
    images[rectangle] = images[rectangle][partner]
    return 1 - (high[0] - low[0]) * (high[1] - low[1]) / (sides[0] * sides[1])


def erase(image: np.ndarray, random: np.random.Generator) -> None:
    """Replace a rectangle of an image by noise, in place (Zhong et al. 2017, algorithm 1).

    Args:
        image: Float32 (3, H, W), in [-1, 1], the range of the noise.
        random: Chooses area, aspect ratio (evenly on a logarithmic scale), place and noise.
    """
    height, width = image.shape[1:]
    while True:
        area = random.uniform(*ERASED_AREA) * height * width
        ratio = np.exp(random.uniform(*np.log(ERASED_RATIO)))
        rows, columns = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < rows <= height and 0 < columns <= width:
            break
    top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
    noise = random.random((len(image), rows, columns), dtype=np.float32)
    image[:, top : top + rows, left : left + columns] = 2 * noise - 1


def class_shares(targets: np.ndarray, smoothing: float) -> np.ndarray:
    """Undo the smoothing of labels that BatchAugmentation has mixed.

    Args:
        targets: Float32 (N, classes), the probabilities of the classes.
        smoothing: Share of the label that went to the wrong classes, in [0, 1).

    Returns:
        Float32 (N, classes), the share of each class, 0 to 1; the targets where the smoothing makes all classes alike.
    """
    off, on = _smoothed(targets.shape[1], smoothing)
    return targets if on == off else np.clip((targets - off) / (on - off), 0, 1)


def _smoothed(num_classes: int, smoothing: float) -> tuple[float, float]:
    """Return the probabilities of a wrong class and of the right one."""
    smoothing = smoothing if num_classes > 1 else 0.0
    return smoothing / max(num_classes - 1, 1), 1 - smoothing
