"""Write images as image folders: class by class, each whole or not at all, the set under its name when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.common.files import check_free_space, naming, printable, remove_temporary, temporary_path
from src.common.folder_lock import only_writer
from src.common.progress import Progress
from tools.data_formats.stored_image import ImagesByClass, StoredImage

_BLOCK = 4096  # what a file takes beside its content, at most


def write_folders(images: ImagesByClass, out: Path, workers: int) -> None:
    """Write images as one folder a class; the classes that an earlier run has finished stay.

    Args:
        images: The images by class.
        out: Folder of the class folders. It appears when all are there; before that, it ends in `.unfinished`.
        workers: Number of threads, 1 or more.

    Raises:
        ValueError: If the folder holds other files, or an image cannot be read.
        OSError: If the disk is too small, or a file cannot be written.
    """
    if os.path.lexists(out):
        _check_finished(images, out)
        return
    work = out.with_name(f"{out.name}.unfinished")
    with only_writer(work, "another process", "choose another folder"):
        remove_temporary(work)
        foreign = sorted(path.name for path in work.iterdir() if path.name not in images)
        if foreign:
            raise ValueError(f"{work} holds {printable(foreign[0])}, which is no class of this data set: remove it")
        missing = {name: each for name, each in images.items() if _sizes(work / name) != _expected(each)}
        check_free_space(work, sum(image.size + _BLOCK for each in missing.values() for image in each))
        total = sum(map(len, images.values()))
        with Progress(total, out.name) as progress, ThreadPoolExecutor(workers) as pool:
            progress.update(total - sum(map(len, missing.values())))
            for count in pool.map(lambda name: _write_class(missing[name], work / name), missing):
                progress.update(count)
        # The data is on the disk before the name says that it is complete.
        if hasattr(os, "sync"):  # Windows has none
            os.sync()
        _check_finished(images, work)
        os.rename(work, out)


def _write_class(images: Sequence[StoredImage], folder: Path) -> int:
    """Write one class, in the place of a damaged one; return the number of its images."""
    temporary = temporary_path(folder)
    temporary.mkdir()
    try:
        for image in images:
            content = image.read()
            with naming(folder / os.path.basename(image.name)):
                (temporary / os.path.basename(image.name)).write_bytes(content)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return len(images)


def _check_finished(images: ImagesByClass, folder: Path) -> None:
    """Raise if a folder does not hold these images, by names and sizes, and nothing else."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    different = sorted(set(found) ^ set(images)) or [
        name for name, each in images.items() if _sizes(folder / name) != _expected(each)
    ]
    if different:
        raise ValueError(
            f"{folder} is there already and differs from the tar file in {printable(different[0])}: "
            f"remove it or choose another folder"
        )


def _expected(images: Sequence[StoredImage]) -> Mapping[str, int]:
    return {os.path.basename(image.name): image.size for image in images}


def _sizes(folder: Path) -> Mapping[str, int]:
    """Return the sizes of a folder's files by name; empty if it is missing."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
