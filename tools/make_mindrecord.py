"""Convert image folders, one folder a class, to MindRecord files, which training and evaluation read as they are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.counted import counted
from src.common.files import user_path
from src.common.workers import available_workers
from src.data.image_limits import MAX_IMAGE_PIXELS
from src.data.record_set import RecordSet, holds_record_files
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.data_formats.record_writer import MAX_SHARDS, write_records
from tools.data_formats.stored_image import images_of_folders


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status, 0.

    Raises:
        ConfigError: If an option is out of range or a folder does not fit.
        ValueError: If images are damaged, or the records cannot be written.
        OSError: If a file cannot be read or written.
    """
    parser = argparse.ArgumentParser(prog="make_mindrecord.py", description=__doc__)
    parser.add_argument(
        "data", type=user_path, metavar="DATA", help="image folders, one folder a class, or a list of images"
    )
    parser.add_argument(
        "out", type=user_path, metavar="OUT", help="folder of the records; completed if it is half written"
    )
    parser.add_argument("--shards", type=int, default=0, help="number of files (default: one for each 256 MiB)")
    add_recursive(parser)
    add_conversion_options(parser)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    check_conversion_options(args)
    if not 0 <= args.shards <= MAX_SHARDS:
        raise ConfigError(f"--shards must be from 1 to {MAX_SHARDS}, or 0 for one for each 256 MiB, got {args.shards}")
    if holds_record_files(str(args.data)):
        raise ConfigError(f"{args.data} holds MindRecord files already: give image folders, one folder a class")
    if args.out.resolve().is_relative_to(args.data.resolve()):
        raise ConfigError(f"{args.out} is inside {args.data}: choose a folder beside it")
    images = images_of_folders(str(args.data), args.recursive)
    skip = args.bad_images == "skip"
    records = write_records(images, args.out, args.shards, args.workers, skip, max_image_pixels=args.max_image_pixels)
    print(describe(records, args.out))
    return 0


def add_conversion_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every conversion has."""
    cores = available_workers()
    parser.add_argument("--workers", type=int, default=cores, help="processes (default: the cores, %(default)s)")
    parser.add_argument(
        "--bad_images",
        choices=("error", "skip"),
        default="error",
        help="what to do with damaged images: name them and write no set, or leave them out (default: %(default)s)",
    )
    add_max_image_pixels(parser)


def add_recursive(parser: argparse.ArgumentParser) -> None:
    """Add the option of sub-folders."""
    parser.add_argument(
        "--recursive", action="store_true", help="images in sub-folders of the class folders count, as in training"
    )


def add_max_image_pixels(parser: argparse.ArgumentParser) -> None:
    """Add the option of the largest image."""
    parser.add_argument(
        "--max_image_pixels",
        type=int,
        default=MAX_IMAGE_PIXELS,
        metavar="N",
        help="most pixels, height x width, of an image; a larger one is bad (default: %(default)s)",
    )


def check_conversion_options(args: argparse.Namespace) -> None:
    """Raise ConfigError if an option that every conversion has is out of range."""
    if args.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {args.workers}")
    if args.max_image_pixels < 1:
        raise ConfigError(f"--max_image_pixels must be at least 1, got {args.max_image_pixels}")


def describe(records: RecordSet, out: Path) -> str:
    """Return what a finished set holds, in a line."""
    left_out = f", {len(records.left_out)} damaged ones left out" if records.left_out else ""
    files = len(records.files) // 2
    return (
        f"{out}: {records.images} images in {len(records.counts)} classes, {counted(files, 'file')}, complete{left_out}"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
