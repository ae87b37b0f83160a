"""The ImageNet input pipeline: image folders to batches of normalised images, for training and for evaluation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import mindspore.dataset as ds
from mindspore import dtype as mstype
from mindspore.dataset import transforms, vision

from src.augmentation import Augmentation, BatchAugmentation
from src.image_folders import IMAGE_SUFFIXES, class_names

DEFAULT_IMAGE_SIZE = 299
RESIZE_FACTOR = 320 / 299  # evaluation: the shorter side before the centre crop, as a multiple of the crop
MEAN = STD = (127.5, 127.5, 127.5)  # RGB: maps 0..255 to -1..1
# MindSpore compares suffixes to the letter; ImageNet's files end in .JPEG.
_SUFFIXES = tuple(form for suffix in IMAGE_SUFFIXES for form in (suffix, suffix.upper(), f".{suffix[1:].title()}"))
_RECIPE = Augmentation()
# What MindSpore says of a file, and why. The path ends with its suffix, as ". " may stand inside it.
_BAD_FILE = re.compile(
    r"(?:data file is|Failed to open file|Invalid file found): "
    rf"(.+(?:{'|'.join(map(re.escape, _SUFFIXES))}))(?:[.,] (.*?)(?: Dump the abnormal.*)?)?$",
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
    augmentation: Augmentation = _RECIPE,
    micro_batches: int = 1,
) -> ds.Dataset:
    """Build the input pipeline over image folders, one folder a class.

    Training: a random crop is resized, perhaps flipped, and changed in brightness, contrast and saturation by up to
    40 %; the order is random; the images left over by the last whole batch are dropped; every rank gets the same number
    of batches. Evaluation: the shorter side is resized to 320 (in proportion for another image size) and the centre is
    cropped; over all ranks every image comes exactly once.

    Args:
        dataset_path: Folder of the class folders; the labels are their positions in sorted order.
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
        augmentation: What the training images undergo besides.
        micro_batches: Batches that make up one step of training, 1 or more; those left over are dropped like images.
            From 2, they are stacked on a new first axis of both columns, and `skip_batches` counts the stacks.

    Returns:
        A data set with the columns `image`, float32 (N, 3, image_size, image_size), RGB, (value - 127.5) / 127.5, and
        `label`, int32 (N,), or float32 (N, classes) with mixup or cutmix.

    Raises:
        ValueError: If the folder has no classes, the workers exceed the cores, or a rank gets no image.
    """
    names = class_names(dataset_path)
    workers = available_workers() if num_parallel_workers is None else num_parallel_workers
    cores = os.cpu_count() or 1
    if not 1 <= workers <= cores:
        raise ValueError(f"num_parallel_workers must be from 1 to {cores}, the cores of this machine, got {workers}")
    if seed is not None:
        ds.config.set_seed(seed)
    images = ds.ImageFolderDataset(
        dataset_path,
        num_parallel_workers=workers,
        extensions=list(_SUFFIXES),
        class_indexing={name: label for label, name in enumerate(names)},
        **_sharding(dataset_path, do_train, device_num, rank),
    )
    if do_train:
        operations = _train_transforms(image_size, crop_min_area, flip_probability, augmentation)
    else:
        operations = _eval_transforms(image_size)
    images = images.map(operations, "image", num_parallel_workers=workers)
    images = images.map(transforms.TypeCast(mstype.int32), "label", num_parallel_workers=workers)
    changes = {}
    if do_train and augmentation.changes_batches:
        seeds = (ds.config.get_seed(), rank)
        changes = {
            "per_batch_map": BatchAugmentation(augmentation, len(names), seeds),
            "input_columns": ["image", "label"],
        }
    images = images.batch(batch_size, drop_remainder=do_train, num_parallel_workers=workers, **changes)
    if micro_batches > 1:
        images = images.batch(micro_batches, drop_remainder=True)
    return images.skip(skip_batches) if skip_batches else images


def count_images(dataset_path: str) -> dict[str, int]:
    """Count the images of every class, by their suffix.

    Args:
        dataset_path: Folder of the class folders.

    Returns:
        Number of images by class name, in sorted order.

    Raises:
        ValueError: If the folder is missing or has no class folders, or one of them cannot be read or holds a hidden
            image.
    """
    return {name: _count_files(os.path.join(dataset_path, name)) for name in class_names(dataset_path)}


def check_folder(
    dataset_path: str, num_classes: int, batch_size: int = 1, device_num: int = 1, micro_batches: int = 1
) -> tuple[list[str], int]:
    """Check that a folder is fit for training or evaluation, before either begins.

    Args:
        dataset_path: Folder of the class folders.
        num_classes: Number of classes that it should have.
        batch_size: Images in a batch of one device.
        device_num: Number of devices, each of which needs one step.
        micro_batches: Batches of a step.

    Returns:
        The class names, sorted, and the number of images.

    Raises:
        ValueError: If the folder does not fit; the message tells how.
    """
    counts = count_images(dataset_path)
    if len(counts) != num_classes:
        raise ValueError(
            f"{dataset_path} has {len(counts)} class folders, but num_classes is {num_classes}: "
            f"use --num_classes={len(counts)} or another folder"
        )
    empty = [name for name, count in counts.items() if not count]
    if empty:
        more = f" and {len(empty) - 1} more class folders" if len(empty) > 1 else ""
        raise ValueError(
            f"no images in {os.path.join(dataset_path, empty[0])}{more}: "
            f"it needs files that end in one of {' '.join(IMAGE_SUFFIXES)}"
        )
    with os.scandir(dataset_path) as entries:
        hidden = sorted(entry.path for entry in entries if entry.is_dir() and entry.name.startswith("."))
    for path in hidden:
        # MindSpore would count these images without ever delivering them.
        if _count_files(path):
            raise ValueError(f"the hidden folder {path} holds images: remove it, or rename it if it is a class")
    total = sum(counts.values())
    if total < batch_size * micro_batches * device_num:
        size, fitting = f"{batch_size}", max(total // micro_batches // device_num, 1)
        if micro_batches > 1:
            size += f" x {micro_batches} (--gradient_accumulation)"
        raise ValueError(
            f"{dataset_path} has {total} images, less than one batch of {size} for each of {device_num} device(s): "
            f"use --batch_size={fitting} or more images"
        )
    return list(counts), total


def available_workers() -> int:
    """Return the number of cores that this process may use, 1 or more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def readable_errors(dataset_path: str) -> Iterator[None]:
    """Turn the error of a pipeline that met an unreadable image into one line that names it.

    Args:
        dataset_path: Folder of the class folders, for the advice.

    Raises:
        ValueError: In the place of MindSpore's RuntimeError about an image.
    """
    try:
        yield
    except RuntimeError as error:
        found = _BAD_FILE.search(str(error))
        if not found:
            raise
        reason = (found[2] or "the file cannot be opened").removeprefix("[Internal ERROR] ").rstrip(".")
        raise ValueError(
            f"cannot read image {found[1]}: {reason}; "
            f"`python tools/check_dataset.py {dataset_path}` lists every bad image"
        ) from error


def _count_files(folder: str) -> int:
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIXES)]
    except OSError as error:
        raise ValueError(f"cannot read the class folder {folder}: {error.strerror}") from error
    hidden = min((name for name in names if name.startswith(".")), default="")
    if hidden:
        # MindSpore would train on it; macOS's "._" files are no images at all.
        raise ValueError(f"{os.path.join(folder, hidden)} is hidden, yet training would read it: remove or rename it")
    return len(names)


def _sharding(dataset_path: str, do_train: bool, device_num: int, rank: int) -> dict[str, object]:
    """Return the arguments of ImageFolderDataset that choose this rank's images and their order."""
    if not 0 <= rank < device_num:
        raise ValueError(f"rank must be from 0 to {device_num - 1} (device_num - 1), got {rank}")
    if do_train:
        # MindSpore fills the shards up to equal size.
        sharding = {"num_shards": device_num, "shard_id": rank} if device_num > 1 else {}
        return {"shuffle": True, **sharding}
    if device_num == 1:
        return {"shuffle": False}
    total = sum(count_images(dataset_path).values())
    if rank >= total:
        raise ValueError(f"{dataset_path} has {total} images, fewer than the {device_num} devices that share them")
    return {"sampler": ds.SubsetSampler(list(range(rank, total, device_num)))}


def _train_transforms(
    image_size: int, crop_min_area: float, flip_probability: float, augmentation: Augmentation
) -> list:
    colours = [vision.RandomColorAdjust(brightness=0.4, contrast=0.4, saturation=0.4)]
    return [
        vision.RandomCropDecodeResize(image_size, scale=(crop_min_area, 1.0), ratio=(3 / 4, 4 / 3)),
        vision.RandomHorizontalFlip(float(flip_probability)),
        *(augmentation.image_transforms() or colours),
        *_normalisation(),
    ]


def _eval_transforms(image_size: int) -> list:
    return [
        vision.Decode(),
        vision.Resize(round(image_size * RESIZE_FACTOR), vision.Inter.BILINEAR),
        vision.CenterCrop(image_size),
        *_normalisation(),
    ]


def _normalisation() -> list:
    return [vision.Normalize(MEAN, STD), vision.HWC2CHW()]
