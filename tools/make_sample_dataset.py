"""Write a small real data set, 1,797 handwritten digits, as image folders: OUT/train/<class>/ and OUT/val/<class>/."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from PIL import Image

from src.common.files import atomic_write, user_path
from src.common.progress import Progress
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

if TYPE_CHECKING:
    import numpy as np

_MARKER = "dataset.json"  # written last: it says that all images are there
_VERSION = 1
_SIZES = range(8, 1025)
_VAL_EVERY, _VAL_FIRST = 5, 2  # begun in the middle, so that each class gives a fifth of its samples, rounded
_TEMPORARY = re.compile(r"\.(\d{4}\.jpg|dataset\.json)\.[0-9a-f]{32}\.tmp")


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status, 0.
    """
    parser = argparse.ArgumentParser(prog="make_sample_dataset.py", description=__doc__)
    parser.add_argument(
        "out", type=user_path, metavar="OUT", help="folder to write to; completed if it is half written"
    )
    parser.add_argument("--size", type=int, default=80, help="height and width of the images in pixels (default: 80)")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    before = finished_counts(args.out, args.size)
    counts = before or make_sample_dataset(args.out, args.size)
    state = "complete already, nothing to do" if before else "written"
    print(f"{args.out}: {counts['train']} training and {counts['val']} held-out images in 10 classes, {state}")
    return 0


def make_sample_dataset(out: Path, size: int = 80) -> dict[str, int]:
    """Write the digits of scikit-learn's load_digits as RGB JPEG files; complete what an earlier run left unfinished.

    In each class every fifth sample, in the order of the original, is held out for validation: 359 of 1,797.

    Args:
        out: Folder of the data set; created if missing.
        size: Height and width of the images in pixels, 8 to 1024.

    Returns:
        Number of images in "train" and "val".

    Raises:
        ValueError: If the size is out of range, or the folder holds another data set or files of other origin.
        ConfigError: If scikit-learn is missing.
        OSError: If a file cannot be written.
    """
    counts = finished_counts(out, size)
    if counts:
        return counts
    digits, labels = _load_digits()
    names = list(_image_names(labels))
    found = _image_files(out)
    foreign = sorted(found - set(names))
    if foreign:
        raise ValueError(f"{out} holds {foreign[0]}, which is no part of the sample data set: choose another folder")
    _remove_temporary_files(out)
    with Progress(len(names), "sample data set") as progress:
        for name, digit in zip(names, digits, strict=True):
            if name in found:
                _check_written(out / name, size)
            else:
                atomic_write(out / name, _encode(digit, size))
            progress.update()
    counts = {split: sum(name.startswith(f"{split}/") for name in names) for split in ("train", "val")}
    atomic_write(out / _MARKER, json.dumps({"version": _VERSION, "size": size, **counts}) + "\n")
    return counts


def finished_counts(out: Path, size: int) -> dict[str, int] | None:
    """Return the image counts of a complete data set.

    Args:
        out: Folder of the data set; need not exist.
        size: Expected height and width of its images in pixels.

    Returns:
        Number of images in "train" and "val", or None if there is something left to write.

    Raises:
        ValueError: If the size is out of range, or the folder holds a data set of another size or version.
    """
    if size not in _SIZES:
        raise ValueError(f"--size must be from {_SIZES[0]} to {_SIZES[-1]} pixels, got {size}")
    marker = out / _MARKER
    if not marker.exists():
        return None
    try:
        content = json.loads(marker.read_bytes())
        found_size, version = content["size"], content["version"]
        counts = {split: int(content[split]) for split in ("train", "val")}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{marker} was not written by this tool: choose another folder") from error
    if (found_size, version) != (size, _VERSION):
        raise ValueError(
            f"{out} holds the sample data set of size {found_size}, version {version}, not size {size}, "
            f"version {_VERSION}: remove it or choose another folder"
        )
    files = _image_files(out)
    complete = len(files) == sum(counts.values()) and all(
        len(list(out.glob(f"{split}/*/*.jpg"))) == count for split, count in counts.items()
    )
    return counts if complete else None


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the digits, (1797, 8, 8) with values 0 to 16, and their labels 0 to 9."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        message = "scikit-learn, which carries the digits, is missing: pip install -r requirements-sample.txt"
        raise ConfigError(message) from error
    data = load_digits()
    return data.images, data.target


def _image_names(labels: np.ndarray) -> Iterator[str]:
    """Yield each sample's file name: <split>/<class>/<index>.jpg."""
    seen = [0] * 10
    for index, label in enumerate(labels):
        split = "val" if seen[label] % _VAL_EVERY == _VAL_FIRST else "train"
        seen[label] += 1
        yield f"{split}/{label}/{index:04d}.jpg"


def _encode(digit: np.ndarray, size: int) -> bytes:
    """Return one digit as a JPEG file."""
    image = Image.fromarray((digit * (255 / 16)).round().astype("uint8")).convert("RGB")
    buffer = io.BytesIO()
    image.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _image_files(out: Path) -> set[str]:
    """Return the files below the folder but the marker and hidden ones, relative to it."""
    files = (path.relative_to(out) for path in out.rglob("*") if not path.is_dir())
    return {file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)} - {_MARKER}


def _remove_temporary_files(out: Path) -> None:
    """Remove what a run that was killed in the middle of a file has left."""
    for path in out.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()


def _check_written(path: Path, size: int) -> None:
    """Raise if an image of an earlier run is not what this run would write there."""
    try:
        with Image.open(path) as image:
            image.load()
            found = image.size
    except OSError as error:
        raise ValueError(f"{path} is damaged: remove it and run again") from error
    if found != (size, size):
        raise ValueError(
            f"{path} is {found[0]} x {found[1]} pixels, not {size} x {size}: use that size or choose another folder"
        )


if __name__ == "__main__":
    sys.exit(run_command(main))
