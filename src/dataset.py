"""The ImageNet input pipeline: image folders, or MindRecord files, to batches for training and for evaluation."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import mindspore.dataset as ds
import numpy as np
from mindspore import dtype as mstype
from mindspore.dataset import transforms, vision

from src.common.workers import available_workers
from src.data.augmentation import Augmentation, BatchAugmentation
from src.data.image_folders import IMAGE_SUFFIXES, SUFFIX_FORMS, image_names
from src.data.image_folders import class_names as class_names
from src.data.image_source import count_images, encoded_images, holds_jpegs
from src.data.jpeg_decoder import decode_jpeg, has_fast_decoder
from src.data.normalization import MEAN, STD
from src.data.record_set import RECORD_SUFFIX, holds_record_files

DEFAULT_IMAGE_SIZE = 299
RESIZE_FACTOR = 320 / 299  # evaluation: the shorter side before the centre crop, as a multiple of the crop
_RECIPE = Augmentation()
# What MindSpore says of a file, and why. The path ends with its suffix, as ". " may stand inside it.
_BAD_FILE = re.compile(
    r"(?:data file is|Failed to open file|Invalid file found): "
    rf"(.+(?:{'|'.join(map(re.escape, SUFFIX_FORMS))}))(?:[.,] (.*?)(?: Dump the abnormal.*)?)?$",
    re.MULTILINE,
)


def create_dataset(
    dataset_path: str,
    do_train: bool,
    batch_size: int = 16,
    device_num: int = 1,
    rank: int = 0,
    image_size: int = DEFAULT_IMAGE_SIZE,
    num_parallel_workers: int | None = None,
    seed: int | None = None,
    skip_batches: int = 0,
    crop_min_area: float = 0.08,
    flip_probability: float = 0.5,
    excluded: Collection[str] = (),
    augmentation: Augmentation = _RECIPE,
    micro_batches: int = 1,
    normalize: bool = True,
) -> ds.Dataset:
    """Build the input pipeline over image folders, one folder a class, or over MindRecord files made of them.

    Training: a random crop is resized, perhaps flipped, and changed in brightness, contrast and saturation by up to
    40 %; the order is random; the images left over by the last whole batch are dropped; every rank gets the same number
    of batches. Evaluation: the shorter side is resized to 320 (in proportion for another image size) and the centre is
    cropped; over all ranks every image comes exactly once.

    Args:
        dataset_path: Folder of the class folders, whose positions in sorted order are the labels, or folder of
            tools/make_mindrecord.py, which keeps those labels.
        do_train: Whether for training or evaluation.
        batch_size: Images in a batch, 1 or more.
        device_num: Number of ranks that share the images, 1 or more.
        rank: Number of this one, 0 to device_num - 1.
        image_size: Height and width of the images in pixels, 1 or more.
        num_parallel_workers: Threads for each stage, 1 up to the machine's cores; None takes all that this process may
            use.
        seed: Makes order and augmentation of an epoch a function of seed and number of threads. It becomes MindSpore's
            global seed for data sets, which counts when iteration begins: iterate before building the next data set.
            None leaves that as it is.
        skip_batches: Batches of the epoch to leave out at its beginning, 0 or more.
        crop_min_area: Least share of the image's area that a training crop takes, in (0, 1].
        flip_probability: Share of the training images that are flipped left to right, 0 to 1.
        excluded: Paths of images, as list_images gives them, that are left out and never opened.
        augmentation: What the training images undergo besides.
        micro_batches: Batches that make up one step of training, 1 or more; those left over are dropped like images.
            From 2, they are stacked on a new first axis of both columns, and `skip_batches` counts the stacks.
        normalize: Whether to normalise; False leaves that to Normalization of src.data.normalization, unless the
            augmentation changes batches, which takes normalised images.

    Returns:
        A data set with the columns `image`, float32 (N, 3, image_size, image_size), RGB, (value - 127.5) / 127.5, and
        `label`, int32 (N,), or float32 (N, classes) with mixup or cutmix. Images that are not normalised are uint8
        (N, image_size, image_size, 3).

    Raises:
        ValueError: If the folder has no classes, the workers exceed the cores, a rank gets no image, an excluded path
            is no image of the folder, or a part of the MindRecord files is missing.
    """
    workers = available_workers() if num_parallel_workers is None else num_parallel_workers
    cores = os.cpu_count() or 1
    if not 1 <= workers <= cores:
        raise ValueError(f"num_parallel_workers must be from 1 to {cores}, the cores of this machine, got {workers}")
    if seed is not None:
        ds.config.set_seed(seed)
    images = encoded_images(dataset_path, workers, do_train, device_num, rank, excluded)
    if do_train:
        operations = _train_transforms(image_size, crop_min_area, flip_probability, augmentation)
    else:
        operations = _eval_transforms(image_size, has_fast_decoder() and holds_jpegs(dataset_path))
    if normalize or (do_train and augmentation.changes_batches):
        operations += _normalisation()
    images = images.map(operations, "image", num_parallel_workers=workers)
    images = images.map(transforms.TypeCast(mstype.int32), "label", num_parallel_workers=workers)
    changes = {}
    if do_train and augmentation.changes_batches:
        seeds = (ds.config.get_seed(), rank)
        changes = {
            "per_batch_map": BatchAugmentation(augmentation, len(class_names(dataset_path)), seeds),
            "input_columns": ["image", "label"],
        }
    images = images.batch(batch_size, drop_remainder=do_train, num_parallel_workers=workers, **changes)
    if micro_batches > 1:
        images = images.batch(micro_batches, drop_remainder=True)
    return images.skip(skip_batches) if skip_batches else images


def check_folder(
    dataset_path: str,
    num_classes: int,
    batch_size: int = 1,
    device_num: int = 1,
    excluded: Collection[str] = (),
    micro_batches: int = 1,
) -> tuple[list[str], int]:
    """Check that a folder is fit for training or evaluation, before either begins.

    Args:
        dataset_path: Folder of the class folders, or of tools/make_mindrecord.py.
        num_classes: Number of classes that it should have.
        batch_size: Images in a batch of one device.
        device_num: Number of devices, each of which needs one step.
        excluded: Paths of images that are going to be left out, as list_images gives them.
        micro_batches: Batches of a step.

    Returns:
        The class names, sorted, and the number of images that are not left out.

    Raises:
        ValueError: If the folder does not fit; the message tells how.
    """
    counts = count_images(dataset_path, excluded)
    images = "readable images" if excluded else "images"
    if len(counts) != num_classes:
        raise ValueError(
            f"{dataset_path} has {len(counts)} classes, but num_classes is {num_classes}: "
            f"use --num_classes={len(counts)} or another folder"
        )
    empty = [name for name, count in counts.items() if not count]
    if empty:
        more = f" and {len(empty) - 1} more class folders" if len(empty) > 1 else ""
        raise ValueError(
            f"no {images} in {os.path.join(dataset_path, empty[0])}{more}: "
            f"it needs files that end in one of {' '.join(IMAGE_SUFFIXES)}"
        )
    with os.scandir(dataset_path) as entries:
        hidden = sorted(entry.path for entry in entries if entry.is_dir() and entry.name.startswith("."))
    for path in hidden:
        # MindSpore would count these images without ever delivering them.
        if image_names(path):
            raise ValueError(f"the hidden folder {path} holds images: remove it, or rename it if it is a class")
    total = sum(counts.values())
    if total < batch_size * micro_batches * device_num:
        size, fitting = f"{batch_size}", max(total // micro_batches // device_num, 1)
        if micro_batches > 1:
            size += f" x {micro_batches} (--gradient_accumulation)"
        raise ValueError(
            f"{dataset_path} has {total} {images}, less than one batch of {size} for each of {device_num} device(s): "
            f"use --batch_size={fitting} or more images"
        )
    return list(counts), total


def read_image(path: str | os.PathLike[str], image_size: int = DEFAULT_IMAGE_SIZE) -> np.ndarray:
    """Decode, resize, crop and normalise one image, as the pipeline for evaluation does.

    Args:
        path: The file; MindSpore's decoder may crash on a damaged one, which check_image of src.data.image_check finds.
        image_size: Height and width of the result in pixels, 1 or more.

    Returns:
        Float32 (3, image_size, image_size), RGB, (value - 127.5) / 127.5.

    Raises:
        ValueError: If MindSpore cannot decode the file.
        OSError: If the file cannot be read.
    """
    image = np.fromfile(path, np.uint8)
    try:
        for operation in [*_eval_transforms(image_size), *_normalisation()]:
            image = operation(image)
    except RuntimeError as error:
        raise ValueError(f"MindSpore cannot decode {path}") from error
    return image


def seen_share(image_size: int = DEFAULT_IMAGE_SIZE) -> float:
    """Return the side of evaluation's centre crop as a share of the image's shorter side, 0 to 1."""
    return image_size / _resized_side(image_size)


@contextmanager
def readable_errors(dataset_path: str) -> Iterator[None]:
    """Turn the error of a pipeline that met an unreadable image into one line that names it.

    Args:
        dataset_path: Folder of the images, for the advice.

    Raises:
        ValueError: In the place of MindSpore's RuntimeError about an image.
    """
    try:
        yield
    except RuntimeError as error:
        if holds_record_files(dataset_path) and RECORD_SUFFIX in str(error):
            # MindSpore may name another file than the damaged one.
            raise ValueError(
                f"cannot read the MindRecord files in {dataset_path}: `python tools/make_mindrecord.py DATA "
                f"{dataset_path}`, with the images they were made from, finds the damaged one and makes it again"
            ) from error
        found = _BAD_FILE.search(str(error))
        if not found:
            raise
        reason = (found[2] or "the file cannot be opened").removeprefix("[Internal ERROR] ").rstrip(".")
        raise ValueError(
            f"cannot read image {found[1]}: {reason}; "
            f"`python tools/check_dataset.py {dataset_path}` lists every bad image, --bad_images=skip leaves them out"
        ) from error


def _train_transforms(
    image_size: int, crop_min_area: float, flip_probability: float, augmentation: Augmentation
) -> list:
    colours = [vision.RandomColorAdjust(brightness=0.4, contrast=0.4, saturation=0.4)]
    return [
        vision.RandomCropDecodeResize(image_size, scale=(crop_min_area, 1.0), ratio=(3 / 4, 4 / 3)),
        vision.RandomHorizontalFlip(float(flip_probability)),
        *(augmentation.image_transforms() or colours),
    ]


def _eval_transforms(image_size: int, are_jpegs: bool = False) -> list:
    return [
        decode_jpeg if are_jpegs else vision.Decode(),
        vision.Resize(_resized_side(image_size), vision.Inter.BILINEAR),
        vision.CenterCrop(image_size),
    ]


def _resized_side(image_size: int) -> int:
    return round(image_size * RESIZE_FACTOR)


def _normalisation() -> list:
    return [vision.Normalize((MEAN,) * 3, (STD,) * 3), vision.HWC2CHW()]
