"""Unreadable images: what `bad_images` says is done about them before training or evaluation opens any."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from src.common.files import atomic_write, printable, to_list
from src.common.progress import Progress
from src.data.image_check import find_bad_images
from src.data.image_folders import IMAGE_SUFFIXES
from src.data.image_limits import ImageLimits
from src.data.image_source import ImageSource
from src.data.listing import IN_FOLDERS, describe_images
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import Group, gather_from_ranks, sum_over_ranks

_SHOWN = 20  # more lines than that hide the rest of a log
_REASON_BYTES = 200


@dataclass(frozen=True)
class UsableImages:
    """The images of a folder that training or evaluation is going to read.

    Args:
        source: All images of the folder.
        count: Number of those that are read.
        excluded: Paths of the other ones, sorted.
    """

    source: ImageSource
    count: int
    excluded: tuple[str, ...] = ()

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, sorted."""
        return self.source.class_names


def usable_images(config: Config, source: ImageSource, group: Group, do_train: bool = False) -> UsableImages:
    """Check a folder and, if bad images are to be skipped, find them; every rank calls this and gets the same.

    Args:
        config: With `bad_images` and `num_parallel_workers`; for training with `num_classes` and the size of a step.
        source: The images of the folder.
        group: The processes that share the check, and then the images.
        do_train: Whether there must be all classes, and each process needs a whole step of images.

    Returns:
        What is to be read.

    Raises:
        ValueError: If the folder does not fit, without its bad images, or differs between ranks.
    """
    check = partial(check_folder, source, None)
    if do_train:
        check = partial(check_folder, source, config.num_classes, config.batch_size, group.size)
        check = partial(check, micro_batches=config.gradient_accumulation)
    count = check()
    if group.rank == 0:
        line, *warnings = describe_images(source.path, source.counts(), source.unread())
        print(line, flush=True)
        for warning in warnings:
            print(warning, file=sys.stderr, flush=True)
    if config.bad_images == "error":
        source.check_regular()
        return UsableImages(source, count)
    paths = source.image_files()
    if paths is None:
        if group.rank == 0:
            print(
                f"nothing to skip in {source.path}: MindRecord images were decoded when they were converted", flush=True
            )
        return UsableImages(source, count)
    _check_equal(source, paths, group)
    bad = _find_together(paths, workers(config), group, ImageLimits.of(config))
    if group.rank == 0:
        _report(bad, count, source.path)
    return UsableImages(source, check(excluded=tuple(bad)), tuple(bad))


def check_folder(
    source: ImageSource,
    num_classes: int | None,
    batch_size: int = 1,
    device_num: int = 1,
    excluded: Collection[str] = (),
    *,
    micro_batches: int = 1,
) -> int:
    """Check that the images of a folder are fit for training or evaluation, before either begins.

    Args:
        source: The images.
        num_classes: Number of classes that there should be; None for any.
        batch_size: Images in a batch of one device.
        device_num: Number of devices, each of which needs one step.
        excluded: Paths of images that are going to be left out, as image_files gives them.
        micro_batches: Batches of a step.

    Returns:
        The number of images that are not left out.

    Raises:
        ValueError: If the folder does not fit; the message tells how.
    """
    counts = source.counts(excluded)
    images = "readable images" if excluded else "images"
    empty = [name for name, number in (source.counts() if excluded else counts).items() if not number]
    if empty:
        more = f" and {len(empty) - 1} more class folders" if len(empty) > 1 else ""
        hint = "; --recursive reads images in sub-folders" if source.unread()[IN_FOLDERS] else ""
        raise ValueError(
            f"no images in {printable(os.path.join(source.path, empty[0]))}{more}: remove the folder, or add "
            f"files that end in one of {' '.join(IMAGE_SUFFIXES)}{hint}"
        )
    if num_classes is not None and source.is_numbered and int(list(counts)[-1]) != len(counts) - 1:
        missing = next(label for label, name in enumerate(counts) if int(name) != label)
        raise ValueError(f"{source.path} has no image of label {missing}: labels to train on are 0, 1 and so on")
    if num_classes not in (None, len(counts)):
        raise ValueError(
            f"{source.path} has {len(counts)} classes, but num_classes is {num_classes}: "
            f"use --num_classes={len(counts)} or another folder"
        )
    empty = [name for name, count in counts.items() if not count]
    if empty:
        more = f" and {len(empty) - 1} more class folders" if len(empty) > 1 else ""
        raise ValueError(
            f"no readable images in {printable(os.path.join(source.path, empty[0]))}{more}: all that were there "
            f"are left out as bad; replace them or remove the folder"
        )
    total = sum(counts.values())
    if total < batch_size * micro_batches * device_num:
        size, fitting = f"{batch_size}", max(total // micro_batches // device_num, 1)
        if micro_batches > 1:
            size += f" x {micro_batches} (--gradient_accumulation)"
        raise ValueError(
            f"{source.path} has {total} {images}, less than one batch of {size} for each of {device_num} device(s): "
            f"use --batch_size={fitting} or more images"
        )
    return total


def write_bad_images(path: Path, *parts: UsableImages) -> list[Path]:
    """Write the paths of the excluded images, one a line.

    Args:
        path: The file.
        parts: What is used; an image that two of them exclude is listed once.

    Returns:
        The written file; none if nothing is excluded.

    Raises:
        OSError: If the file cannot be written.
    """
    excluded = list(dict.fromkeys(each for part in parts for each in part.excluded))
    if not excluded:
        return []
    atomic_write(path, to_list(excluded))
    return [path]


def _find_together(paths: Sequence[str], workers: int, group: Group, limits: ImageLimits) -> dict[str, str]:
    """Check a share of the images on each rank; return the bad ones of all with their reasons, by path."""
    share = paths[group.rank :: group.size]
    with Progress(len(share), "check", log_seconds=30) as progress:
        found = dict(find_bad_images(list(map(Path, share)), workers, progress, limits))
    is_bad = sum_over_ranks(np.array([Path(path) in found for path in paths], np.int64), group)
    bad = [path for path, flag in zip(paths, is_bad, strict=True) if flag]
    if not bad:
        return {}
    # Each row holds the bytes of the one rank that found the image, and zeros from the others.
    reasons = np.zeros((len(bad), _REASON_BYTES), np.int64)
    for row, path in zip(reasons, bad, strict=True):
        text = found.get(Path(path), "").encode()[:_REASON_BYTES]
        row[: len(text)] = list(text)
    rows = sum_over_ranks(reasons, group).astype(np.uint8)
    return {path: row.tobytes().rstrip(b"\0").decode(errors="ignore") for path, row in zip(bad, rows, strict=True)}


def _check_equal(source: ImageSource, paths: Sequence[str], group: Group) -> None:
    """Raise on every rank if they see different files: their arrays would not fit together, nor their shards."""
    names = "\n".join(map(source.name_of, paths))
    mine = np.array([len(paths), zlib.crc32(names.encode(errors="surrogateescape"))], np.int64)
    everyone = gather_from_ranks(mine, group)
    if (everyone != everyone[0]).any():
        counts = ", ".join(str(count) for count, _ in everyone)
        raise ValueError(
            f"the processes see different images in {source.path}, by rank {counts}: copy it to every machine"
        )


def _report(bad: dict[str, str], count: int, folder: str) -> None:
    """Print the bad images, the first ones of many, and how many are left out."""
    for path in sorted(bad)[:_SHOWN]:
        print(printable(f"bad image {path}: {bad[path]}"), flush=True)
    if len(bad) > _SHOWN:
        print(f"and {len(bad) - _SHOWN:,} more bad images", flush=True)
    print(f"skipping {len(bad):,} of {count:,} images in {folder}", flush=True)
