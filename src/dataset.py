"""The ImageNet input pipeline: image folders, or MindRecord files, to batches for training and for evaluation."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import mindspore.dataset as ds
import numpy as np

from src.common.regular_file import read_regular
from src.common.workers import available_workers
from src.data.admission import Admission
from src.data.augmentation import Augmentation, BatchAugmentation
from src.data.balanced import balanced_order
from src.data.image_limits import MAX_IMAGE_PIXELS, RECIPE_LIMITS, ImageLimits
from src.data.image_source import ImageSource, open_images
from src.data.jpeg_decoder import has_fast_decoder
from src.data.listing import describe_images
from src.data.preset import CROP_PCT, DEFAULT_IMAGE_SIZE, INTERPOLATION, RECIPE, Preset
from src.data.share import Share


def create_dataset(
    dataset_path: str | os.PathLike[str] | ImageSource,
    do_train: bool,
    batch_size: int = 16,
    device_num: int = 1,
    rank: int = 0,
    *,
    image_size: int = DEFAULT_IMAGE_SIZE,
    crop_pct: float = CROP_PCT,
    interpolation: str = INTERPOLATION,
    num_parallel_workers: int | None = None,
    seed: int | None = None,
    skip_batches: int = 0,
    crop_min_area: float = Preset.crop_min_area,
    flip_probability: float = Preset.flip_probability,
    excluded: Collection[str] = (),
    augmentation: Augmentation = RECIPE,
    micro_batches: int = 1,
    normalize: bool = True,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    recursive: bool = False,
    balanced: bool = False,
) -> ds.Dataset:
    """Build the input pipeline over image folders, one folder a class, or over MindRecord files made of them.

    Training: a random crop is resized, perhaps flipped, and changed in brightness, contrast and saturation by up to
    40 %, or as `augmentation` says; the order is random; the images left over by the last whole batch are dropped;
    every rank gets the same number of batches. Evaluation: the shorter side is resized to image_size / crop_pct, 320 by
    default, and the centre is cropped; over all ranks every image comes exactly once.

    Args:
        dataset_path: Folder of the class folders, whose positions in sorted order are the labels, or folder of
            tools/make_mindrecord.py, which keeps those labels, or a list of images, as src.data.image_list describes
            it; or one of them opened by open_images.
        do_train: Whether for training or evaluation.
        batch_size: Images in a batch, 1 or more.
        device_num: Number of ranks that share the images, 1 or more.
        rank: Number of this one, 0 to device_num - 1.
        image_size: Height and width of the images in pixels, 1 or more.
        crop_pct: Side of evaluation's centre crop as a share of the resized shorter side, above 0 to 1.
        interpolation: How evaluation resizes, "bilinear" or "bicubic", both as OpenCV does.
        num_parallel_workers: Threads for each stage, 1 up to the machine's cores; None takes all that this process may
            use.
        seed: Makes order and augmentation of an epoch a function of seed, rank and number of threads: ranks share one
            order, and draw crops, flips and the like each for itself. What follows from it becomes MindSpore's global
            seed for data sets, which counts when iteration begins: iterate before building the next data set. None
            leaves that as it is.
        skip_batches: Batches of the epoch to leave out at its beginning, 0 or more.
        crop_min_area: Least share of the image's area that a training crop takes, in (0, 1].
        flip_probability: Share of the training images that are flipped left to right, 0 to 1.
        excluded: Paths of images, as image_files of the source gives them, that are left out and never opened.
        augmentation: What the training images undergo beside crop and mirroring.
        micro_batches: Batches that make up one step of training, 1 or more; those left over are dropped like images.
            From 2, they are stacked on a new first axis of both columns, and `skip_batches` counts the stacks.
        normalize: Whether to normalise; False leaves that to Normalization of src.data.normalization, unless the
            augmentation changes batches, which takes normalised images.
        max_image_pixels: Most pixels, height x width, of an image, 1 or more: a larger one ends the iteration with its
            name before it is decoded.
        recursive: Whether images in sub-folders of the class folders count; of an opened source, its own word does.
        balanced: Whether training draws as many images of each class, those of small classes several times; the draw
            follows from `seed`, and each epoch of one data set has the same.

    Returns:
        A data set with the columns `image`, float32 (N, 3, image_size, image_size), RGB, (value - 127.5) / 127.5, and
        `label`, int32 (N,), or float32 (N, classes) with mixup or cutmix. Images that are not normalised are uint8
        (N, image_size, image_size, 3).

    Raises:
        ValueError: If the folder has no classes, the workers exceed the cores, a rank gets no image, an excluded path
            is no image of the folder, a part of the MindRecord files is missing, or images cannot be resized like this.
    """
    workers = available_workers() if num_parallel_workers is None else num_parallel_workers
    cores = os.cpu_count() or 1
    if not 1 <= workers <= cores:
        raise ValueError(f"num_parallel_workers must be from 1 to {cores}, the cores of this machine, got {workers}")
    if seed is not None:
        ds.config.set_seed(seed)
    if isinstance(dataset_path, (str, os.PathLike)):
        source = open_images(os.fspath(dataset_path), recursive)
        if rank == 0:  # of an opened source, whoever opened it has said it
            lines = describe_images(source.path, source.counts(), source.unread())
            print("\n".join(lines), file=sys.stderr, flush=True)
    else:
        source = dataset_path
    order = None
    if balanced and do_train:
        counts = list(source.counts(excluded).values())
        order = balanced_order(counts, device_num, ds.config.get_seed() if seed is None else seed)
    images = source.open(Share(device_num, rank, order), do_train, workers, excluded)
    seeds = (ds.config.get_seed(), rank)
    if seed is not None and rank:  # the order is drawn by now, the same on all ranks
        ds.config.set_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))

    preset = Preset(
        image_size=image_size,
        crop_pct=crop_pct,
        interpolation=interpolation,
        crop_min_area=crop_min_area,
        flip_probability=flip_probability,
        augmentation=augmentation,
        max_image_pixels=max_image_pixels,
        normalize=normalize,
    )
    operations = preset.training() if do_train else preset.evaluation(has_fast_decoder() and source.is_jpeg)
    # A stage of its own: behind an operation in Python, MindSpore no longer knows which file it is at.
    images = images.map(Admission(preset.limits), "image", num_parallel_workers=workers)
    images = images.map(operations, "image", num_parallel_workers=workers)

    changes = {}
    if do_train and augmentation.changes_batches:
        changes = {
            "per_batch_map": BatchAugmentation(augmentation, len(source.class_names), seeds),
            "input_columns": ["image", "label"],
        }
    images = images.batch(batch_size, drop_remainder=do_train, num_parallel_workers=workers, **changes)
    if micro_batches > 1:
        images = images.batch(micro_batches, drop_remainder=True)
    return images.skip(skip_batches) if skip_batches else images


def read_image(
    path: str | os.PathLike[str],
    image_size: int = DEFAULT_IMAGE_SIZE,
    *,
    crop_pct: float = CROP_PCT,
    interpolation: str = INTERPOLATION,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
) -> np.ndarray:
    """Decode, resize, crop and normalise one image, as the pipeline for evaluation does.

    Args:
        path: The file; MindSpore's decoder may crash on a damaged one, which check_image of src.data.image_check finds.
        image_size: Height and width of the result in pixels, 1 or more.
        crop_pct: As in create_dataset.
        interpolation: As in create_dataset.
        max_image_pixels: As in create_dataset.

    Returns:
        Float32 (3, image_size, image_size), RGB, (value - 127.5) / 127.5.

    Raises:
        ValueError: If the file is not a regular one, its image is too large or cannot be decoded, or images cannot be
            resized like this.
        OSError: If the file cannot be read.
    """
    preset = Preset(
        image_size=image_size, crop_pct=crop_pct, interpolation=interpolation, max_image_pixels=max_image_pixels
    )
    try:
        image = Admission(preset.limits)(np.frombuffer(read_regular(path), np.uint8))
    except ValueError as error:
        raise ValueError(f"cannot read image {os.fspath(path)}: {error}") from error
    try:
        for operation in preset.evaluation():
            image = operation(image)
    except RuntimeError as error:
        raise ValueError(f"MindSpore cannot decode {path}") from error
    return image


def seen_share(image_size: int = DEFAULT_IMAGE_SIZE, crop_pct: float = CROP_PCT) -> float:
    """Return the side of evaluation's centre crop as a share of the image's shorter side, 0 to 1.

    Args:
        image_size: As in create_dataset.
        crop_pct: As in create_dataset; the share is another by what rounding to whole pixels does.

    Raises:
        ValueError: If images cannot be resized like this.
    """
    return Preset(image_size=image_size, crop_pct=crop_pct).seen_share


@contextmanager
def readable_errors(
    source: ImageSource, limits: ImageLimits = RECIPE_LIMITS, on_error: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Turn the error of a pipeline that met an unreadable image into one line that names it.

    Args:
        source: The images of the pipeline.
        limits: What they had to keep to.
        on_error: Called before that is raised.

    Raises:
        ValueError: In the place of MindSpore's RuntimeError about an image.
    """
    try:
        yield
    except RuntimeError as error:
        reason = source.explain(error, limits)
        if reason is None:
            raise
        on_error()
        raise ValueError(reason) from error
