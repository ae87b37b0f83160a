"""Convert images to a sharded set of MindRecord files: parallel, checked, and taken up again after a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

from src.common.files import atomic_write, check_free_space, printable, remove_temporary
from src.common.folder_lock import only_writer
from src.common.progress import Progress
from src.common.workers import process_pool
from src.data.image_limits import MAX_IMAGE_PIXELS, ImageLimits
from src.data.parallel_check import find_bad
from src.data.record_set import RECORD_SUFFIX, SET_FILE, RecordSet
from tools.data_formats.record_shard import MAX_IMAGE_BYTES, Content, OtherImages, Shard, read_shard, write_shard
from tools.data_formats.stored_image import ImagesByClass, StoredImage, check_stored_image

MAX_SHARDS = 1000

_SHARD_BYTES = 256 * 2**20
_SHARDS_AT_ONCE = 4  # of each process: what a kill can cost is the check of so many


def write_records(
    images: ImagesByClass,
    out: Path,
    shards: int,
    workers: int,
    skip_bad: bool,
    *,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
) -> RecordSet:
    """Write images as a record set; what an earlier run has written is verified and stays.

    Every image is decoded before it is written, and every record read back.

    Args:
        images: The images by class.
        out: Folder of the set; created if missing. It may hold nothing else.
        shards: Number of files, 0 to 1000; 0 takes one for each 256 MiB.
        workers: Number of processes, 1 or more.
        skip_bad: Whether to leave damaged images out; else they are all named and no set is made.
        max_image_pixels: Most pixels, height x width, of a good image, 1 or more.

    Returns:
        The complete set.

    Raises:
        ValueError: If images are damaged, an image of a class is left in none, or the folder holds something else.
        OSError: If the disk is too small, or a file cannot be read or written.
    """
    _check_images(images)
    plan = plan_shards(images, out, shards)
    with only_writer(out, "another conversion", "choose another folder"):
        _check_foreign(out, plan)
        remove_temporary(out)
        try:
            with process_pool(workers) as pool:
                contents = _verify_finished(plan, pool)
                missing = [shard for shard in plan if shard.path not in contents]
                check_free_space(out, sum(shard.expected_bytes() for shard in missing))
                check = partial(check_stored_image, limits=ImageLimits(max_image_pixels))
                bad = _convert(missing, contents, pool, check, workers=workers, skip_bad=skip_bad)
        except BrokenProcessPool as error:
            raise ValueError(
                "a process that writes records was killed, perhaps for its memory: run the command again, "
                "with fewer --workers; what is written stays"
            ) from error
        if bad and not skip_bad:
            raise ValueError(
                f"{bad} damaged images, named above: replace them and run again, or leave them out with "
                f"--bad_images=skip"
            )
        records = _describe(images, plan, contents)
        atomic_write(out / SET_FILE, records.to_json())
    return records


def plan_shards(images: ImagesByClass, out: Path, shards: int = 0) -> list[Shard]:
    """Divide images into shards of equal numbers, in the order of the labels.

    Args:
        images: The images by class.
        out: Folder of the set.
        shards: Number of files, 0 to 1000 and at most the images; 0 takes one for each 256 MiB.

    Raises:
        ValueError: If there are more shards than images, or too many.
    """
    rows = [(image, label) for label, each in enumerate(images.values()) for image in each]
    total = sum(image.size for image, _ in rows)
    number = shards or min(-(-total // _SHARD_BYTES), MAX_SHARDS, len(rows))
    most = min(MAX_SHARDS, len(rows))
    if not 1 <= number <= most:
        raise ValueError(f"--shards must be from 1 to {most} for {len(rows)} images, got {shards}")
    bounds = [index * len(rows) // number for index in range(number + 1)]
    plan = []
    for index, (start, end) in enumerate(pairwise(bounds)):
        path = out / f"images-{index:04d}-of-{number:04d}{RECORD_SUFFIX}"
        part, labels = zip(*rows[start:end], strict=True)
        plan.append(Shard(str(path), part, labels))
    return plan


def _check_images(images: ImagesByClass) -> None:
    """Raise if a class is empty, or an image too large."""
    for name, each in images.items():
        if not each:
            raise ValueError(f"no images in class {printable(name)}: add some or remove its folder")
        largest = max(each, key=lambda image: image.size)
        if largest.size > MAX_IMAGE_BYTES:
            raise ValueError(
                f"{printable(largest.name)} has {largest.size} bytes, more than the {MAX_IMAGE_BYTES} that a record "
                f"holds: remove it or make it smaller"
            )


def _check_foreign(out: Path, plan: Sequence[Shard]) -> None:
    """Raise if the folder holds anything but a part of the planned set."""
    known = {SET_FILE} | {Path(path).name for shard in plan for path in shard.files()}
    foreign = sorted(path.name for path in out.iterdir() if not path.name.startswith(".") and path.name not in known)
    if foreign:
        raise ValueError(
            f"{out} holds {printable(foreign[0])}, which is no part of a set of these images in {len(plan)} files: "
            f"choose another folder, or the same --shards as before"
        )


def _verify_finished(plan: Sequence[Shard], pool: ProcessPoolExecutor) -> dict[str, Content]:
    """Return the contents of the shards that an earlier run has finished; remove the damaged ones."""
    found = [shard for shard in plan if all(map(os.path.exists, shard.files()))]
    contents = {}
    if found:
        with Progress(sum(len(shard.images) for shard in found), "verify") as progress:
            for shard, result in zip(found, pool.map(_read_or_reason, found), strict=True):
                progress.update(len(shard.images))
                if isinstance(result, Content):
                    contents[shard.path] = result
                else:
                    progress.clear()
                    print(f"making a damaged file again: {result}")
                    os.unlink(shard.path)
    return contents


def _read_or_reason(shard: Shard) -> Content | str:
    """Return what a shard holds, or why it is damaged; other images than expected are an error."""
    try:
        return read_shard(shard)
    except OtherImages as error:
        raise ValueError(f"{error}: the folder was made from other images; choose another one") from error
    except ValueError as error:
        return str(error)


def _convert(
    missing: Sequence[Shard],
    contents: dict[str, Content],
    pool: ProcessPoolExecutor,
    check: Callable[[StoredImage], str],
    *,
    workers: int,
    skip_bad: bool,
) -> int:
    """Check and write shards, a group at a time, add their contents, and return the number of damaged images."""
    total = 0
    if not missing:
        return total
    with Progress(sum(len(shard.images) for shard in missing), "convert") as progress:
        for group in _groups(missing, _SHARDS_AT_ONCE * workers):
            images = [image for shard in group for image in shard.images]
            bad = dict(find_bad(images, workers, check, progress))
            total += len(bad)
            for image in sorted(bad):
                progress.clear()
                print(printable(f"bad image {image.name}: {bad[image]}"))
            left_out = [frozenset(bad).intersection(shard.images) for shard in group]
            jobs = [
                (shard, names)
                for shard, names in zip(group, left_out, strict=True)
                if not names or (skip_bad and len(names) < len(shard.images))
            ]
            shards, skipped = [shard for shard, _ in jobs], [names for _, names in jobs]
            for shard, content in zip(shards, pool.map(write_shard, shards, skipped), strict=True):
                contents[shard.path] = content
                progress.update(0, f"{len(contents)} files")
    return total


def _groups(shards: Iterable[Shard], size: int) -> Iterator[list[Shard]]:
    """Yield shards in lists of that size; the last one may be shorter."""
    rest = iter(shards)
    while group := list(islice(rest, size)):
        yield group


def _describe(images: ImagesByClass, plan: Sequence[Shard], contents: dict[str, Content]) -> RecordSet:
    """Count what was read back; raise if it is not all of the images, or a class is empty."""
    counts = [sum(content.counts.get(label, 0) for content in contents.values()) for label in range(len(images))]
    by_name = dict(zip(images, counts, strict=True))
    empty = [name for name, count in by_name.items() if not count]
    if empty:
        raise ValueError(f"class {printable(empty[0])} has no good image: add some or remove its folder")
    left_out: list[str] = []
    files = {}
    for shard in plan:
        if shard.path not in contents:
            left_out += [image.name for image in shard.images]
            continue
        left_out += contents[shard.path].missing
        for path in shard.files():
            files[os.path.basename(path)] = os.path.getsize(path)
    if sum(counts) + len(left_out) != sum(map(len, images.values())):
        raise ValueError(f"the records hold {sum(counts)} images, and {len(left_out)} were left out: run again")
    return RecordSet(by_name, dict(sorted(files.items())), left_out)
