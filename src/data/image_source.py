"""Where the images of a data set come from, image folders or MindRecord files, and how ranks share them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore.dataset as ds

from src.data.image_folders import SUFFIX_FORMS, class_names, image_names, list_images
from src.data.jpeg_decoder import JPEG_START
from src.data.record_set import RecordSet, find_records


@dataclass(frozen=True)
class EncodedImage:
    """An image of a data set as it is stored.

    Args:
        name: Its path in image folders, and <class>/<file name> in MindRecord files.
        content: The bytes of the image file.
    """

    name: str
    content: bytes


def count_images(dataset_path: str, excluded: Collection[str] = ()) -> dict[str, int]:
    """Count the images of every class, in class folders by their suffix.

    Args:
        dataset_path: Folder of the class folders, or of tools/make_mindrecord.py.
        excluded: Paths of images that do not count, as list_images gives them.

    Returns:
        Number of images by class name, in sorted order.

    Raises:
        ValueError: If the folder is missing or has no class folders, one of them cannot be read or holds a hidden
            image, or a part of the MindRecord files is missing.
    """
    records = find_records(dataset_path)
    if records:
        _check_none_excluded(dataset_path, excluded)
        return dict(records.counts)
    left_out = frozenset(excluded)
    return {
        name: len(images) - len(left_out.intersection(images)) for name, images in list_images(dataset_path).items()
    }


def holds_jpegs(dataset_path: str) -> bool:
    """Tell whether the first image of a data set is a JPEG, as the others are then too in most data sets.

    Args:
        dataset_path: Folder of the class folders, or of tools/make_mindrecord.py.

    Raises:
        ValueError: If the folder has no classes, or a part of the MindRecord files is missing.
    """
    records = find_records(dataset_path)
    if records:
        return _first_record(records.record_files(dataset_path)[0]).startswith(JPEG_START)
    folders = (os.path.join(dataset_path, name) for name in class_names(dataset_path))
    first = next((name for folder in folders for name in image_names(folder)), "")
    return first.lower().endswith((".jpg", ".jpeg"))


def _first_record(path: str) -> bytes:
    """Return the first image of a MindRecord file, nothing if it cannot be read."""
    from mindspore.mindrecord import FileReader

    try:
        reader = FileReader(path, 1)
        try:
            return next((bytes(row["image"]) for row in reader.get_next()), b"")
        finally:
            reader.close()
    except RuntimeError:
        return b""


def encoded_images(
    dataset_path: str, workers: int, do_train: bool, device_num: int, rank: int, excluded: Collection[str]
) -> ds.Dataset:
    """Return one rank's images of either form.

    Training: shuffled, the same number on every rank. Evaluation: in the order of the labels, over all ranks each once.

    Args:
        dataset_path: Folder of the class folders, or of tools/make_mindrecord.py.
        workers: Threads that read, 1 or more.
        do_train: Whether for training or evaluation.
        device_num: Number of ranks that share the images, 1 or more.
        rank: Number of this one, 0 to device_num - 1.
        excluded: Paths of images in folders, as list_images gives them, that are left out and never opened.

    Returns:
        A data set with the columns `image`, encoded, and `label`.

    Raises:
        ValueError: If the folder has no classes, a rank gets no image, an excluded path is no image of the folder, or a
            part of the MindRecord files is missing.
    """
    records = find_records(dataset_path)
    if records:
        return _records(dataset_path, records, workers, do_train, device_num, rank, excluded)
    return _folders(dataset_path, workers, do_train, device_num, rank, excluded)


def read_images(dataset_path: str, numbers: Sequence[int], excluded: Collection[str] = ()) -> list[EncodedImage]:
    """Read single images of either form.

    Args:
        dataset_path: Folder of the class folders, or of tools/make_mindrecord.py.
        numbers: Which ones, from 0 in the order of an evaluation on one rank, each once.
        excluded: Paths of images in folders that the evaluation left out.

    Returns:
        The images, in the order of `numbers`.

    Raises:
        ValueError: If the folder has no classes, or a part of the MindRecord files is missing.
        OSError: If an image cannot be read.
    """
    records = find_records(dataset_path)
    if not records:
        left_out = frozenset(excluded)
        paths = [path for images in list_images(dataset_path).values() for path in images if path not in left_out]
        return [EncodedImage(paths[number], Path(paths[number]).read_bytes()) for number in numbers]
    if not numbers:
        return []
    rows = ds.MindDataset(
        records.record_files(dataset_path), columns_list=["image", "name"], sampler=ds.SubsetSampler(list(numbers))
    ).create_dict_iterator(num_epochs=1, output_numpy=True)
    return [EncodedImage(os.fsdecode(row["name"].tobytes()), row["image"].tobytes()) for row in rows]


def _folders(
    dataset_path: str, workers: int, do_train: bool, device_num: int, rank: int, excluded: Collection[str]
) -> ds.Dataset:
    """Return this rank's images of image folders, encoded, in their order."""
    kept = None
    if excluded:
        kept = _kept_images(dataset_path, excluded)
    elif not do_train and device_num > 1:
        kept = list(range(sum(count_images(dataset_path).values())))
    return ds.ImageFolderDataset(
        dataset_path,
        num_parallel_workers=workers,
        extensions=list(SUFFIX_FORMS),
        class_indexing={name: label for label, name in enumerate(class_names(dataset_path))},
        **_sharding(dataset_path, do_train, device_num, rank, kept),
    )


def _records(
    dataset_path: str,
    records: RecordSet,
    workers: int,
    do_train: bool,
    device_num: int,
    rank: int,
    excluded: Collection[str],
) -> ds.Dataset:
    """Return this rank's images of MindRecord files, encoded, in their order."""
    _check_none_excluded(dataset_path, excluded)
    kept = list(range(records.images)) if not do_train and device_num > 1 else None
    return ds.MindDataset(
        records.record_files(dataset_path),
        columns_list=["image", "label"],
        num_parallel_workers=workers,
        **_sharding(dataset_path, do_train, device_num, rank, kept),
    )


def _check_none_excluded(dataset_path: str, excluded: Collection[str]) -> None:
    if excluded:
        raise ValueError(f"{min(excluded)} cannot be left out of {dataset_path}: its MindRecord files have no paths")


def _sharding(
    dataset_path: str, do_train: bool, device_num: int, rank: int, kept: Sequence[int] | None
) -> dict[str, object]:
    """Return MindSpore's arguments that choose this rank's images, of those kept or of all, and their order."""
    if not 0 <= rank < device_num:
        raise ValueError(f"rank must be from 0 to {device_num - 1} (device_num - 1), got {rank}")
    if kept is None:
        # MindSpore fills the shards up to equal size.
        sharding = {"num_shards": device_num, "shard_id": rank} if device_num > 1 else {}
        return {"shuffle": do_train, **sharding}
    if do_train:
        sampler = ds.DistributedSampler(device_num, rank)
        sampler.add_child(ds.SubsetSampler(kept))
        return {"sampler": sampler}
    if rank >= len(kept):
        raise ValueError(f"{dataset_path} has {len(kept)} images, fewer than the {device_num} devices that share them")
    return {"sampler": ds.SubsetSampler(kept[rank::device_num])}


def _kept_images(dataset_path: str, excluded: Collection[str]) -> list[int]:
    """Return MindSpore's numbers of the images that are not excluded."""
    paths = [path for images in list_images(dataset_path).values() for path in images]
    left_out = frozenset(excluded)
    unknown = left_out.difference(paths)
    if unknown:
        raise ValueError(f"{min(unknown)}, to be left out, is no image of {dataset_path}: has the folder changed?")
    return [number for number, path in enumerate(paths) if path not in left_out]
