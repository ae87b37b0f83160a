"""Unreadable images: what `bad_images` says is done about them before training or evaluation opens any."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from src.checkpoints.names import BAD_IMAGES
from src.common.files import atomic_write, printable, to_list
from src.common.progress import Progress
from src.data.image_check import find_bad_images
from src.data.image_folders import list_images
from src.data.record_set import find_records
from src.dataset import check_folder
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import Group, gather_from_ranks, sum_over_ranks

_SHOWN = 20  # more lines than that hide the rest of a log
_REASON_BYTES = 200


@dataclass(frozen=True)
class UsableImages:
    """The images of a folder that training or evaluation is going to read.

    Args:
        class_names: Names of the classes, sorted.
        count: Number of the images.
        excluded: Paths of the other ones, sorted.
    """

    class_names: list[str]
    count: int
    excluded: tuple[str, ...] = ()


def usable_images(
    config: Config, folder: str, group: Group, batch_size: int = 1, device_num: int = 1, micro_batches: int = 1
) -> UsableImages:
    """Check a folder and, if bad images are to be skipped, find them; every rank calls this and gets the same.

    Args:
        config: With `bad_images`, `num_classes` and `num_parallel_workers`.
        folder: Folder of the class folders, or of MindRecord files.
        group: The processes that share the check.
        batch_size: Images in a batch of one device.
        device_num: Number of devices, each of which needs one step.
        micro_batches: Batches of a step.

    Returns:
        What is to be read.

    Raises:
        ValueError: If the folder does not fit, without its bad images, or differs between ranks.
    """
    check = partial(check_folder, folder, config.num_classes, batch_size, device_num, micro_batches=micro_batches)
    names, count = check()
    if config.bad_images == "error":
        return UsableImages(names, count)
    if find_records(folder):
        if group.rank == 0:
            print(f"nothing to skip in {folder}: MindRecord images were decoded when they were converted", flush=True)
        return UsableImages(names, count)
    bad = _find_together(folder, workers(config, group.size), group)
    if group.rank == 0:
        _report(bad, count, folder)
    names, count = check(tuple(bad))
    return UsableImages(names, count, tuple(bad))


def write_bad_images(folder: Path, *parts: UsableImages) -> list[Path]:
    """Write the paths of the excluded images, one a line.

    Args:
        folder: Where to, as `bad_images.txt`.
        parts: What is used; an image that two of them exclude is listed once.

    Returns:
        The written file; none if nothing is excluded.

    Raises:
        OSError: If the file cannot be written.
    """
    excluded = list(dict.fromkeys(path for part in parts for path in part.excluded))
    if not excluded:
        return []
    path = folder / BAD_IMAGES
    atomic_write(path, to_list(excluded))
    return [path]


def _find_together(folder: str, workers: int, group: Group) -> dict[str, str]:
    """Check a share of the images on each rank; return the bad ones of all with their reasons, by path."""
    paths = [path for images in list_images(folder).values() for path in images]
    _check_equal(paths, folder, group)
    share = paths[group.rank :: group.size]
    with Progress(len(share), "check", log_seconds=30) as progress:
        found = dict(find_bad_images(list(map(Path, share)), workers, progress))
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


def _check_equal(paths: Sequence[str], folder: str, group: Group) -> None:
    """Raise on every rank if they see different files: their arrays would not fit together, nor their shards."""
    names = "\n".join(path[len(folder) :] for path in paths)
    mine = np.array([len(paths), zlib.crc32(names.encode(errors="surrogateescape"))], np.int64)
    everyone = gather_from_ranks(mine, group)
    if (everyone != everyone[0]).any():
        counts = ", ".join(str(count) for count, _ in everyone)
        raise ValueError(f"the processes see different images in {folder}, by rank {counts}: copy it to every machine")


def _report(bad: dict[str, str], count: int, folder: str) -> None:
    """Print the bad images, the first ones of many, and how many are left out."""
    for path in sorted(bad)[:_SHOWN]:
        print(f"bad image {printable(path)}: {bad[path]}", flush=True)
    if len(bad) > _SHOWN:
        print(f"and {len(bad) - _SHOWN:,} more bad images", flush=True)
    print(f"skipping {len(bad):,} of {count:,} images in {folder}", flush=True)
