"""Find the images of a data set that training cannot read: empty, truncated, of another format, absurdly large."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import atomic_write, printable, to_list, user_path
from src.common.progress import Progress
from src.common.workers import available_workers
from src.data.image_check import find_bad_images
from src.data.image_folders import IMAGE_SUFFIXES, find_images, in_sub_folders
from src.data.image_limits import ImageLimits
from src.data.image_list import read_list
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.make_mindrecord import add_max_image_pixels, add_recursive, check_conversion_options


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if every image is good, 1 if one is bad.

    Raises:
        ConfigError: If the folder is missing or holds no images, or the number of workers is below 1.
    """
    parser = argparse.ArgumentParser(prog="check_dataset.py", description=__doc__)
    parser.add_argument(
        "folder",
        type=user_path,
        metavar="DIR",
        help="image folders, with or without train/ and val/ above, or a list of images",
    )
    cores = available_workers()
    parser.add_argument("--workers", type=int, default=cores, help="processes (default: the cores, %(default)s)")
    parser.add_argument(
        "--list", type=user_path, metavar="FILE", help="write the paths of the bad images here, one a line"
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    add_recursive(parser)
    add_max_image_pixels(parser)
    args = parser.parse_args(argv)
    check_conversion_options(args)
    if args.folder.is_file():
        listing = read_list(str(args.folder))
        paths, classes = list(map(Path, listing.paths)), set(listing.images)
    elif args.folder.is_dir():
        paths = find_images(args.folder)
        classes = set()
    else:
        raise ConfigError(f"no folder {args.folder}: give the data set's folder, with one sub-folder per class")
    if not paths:
        raise ConfigError(f"no images in {args.folder}: it needs files with one of {' '.join(sorted(IMAGE_SUFFIXES))}")
    below = [] if args.recursive or args.folder.is_file() else in_sub_folders(args.folder, paths)
    if below:
        print(
            f"not read: {len(below)} in sub-folders of class folders, as {printable(below[0])}; --recursive reads them"
        )
        paths = sorted(set(paths).difference(below))
    with Progress(len(paths), "check") as progress:
        bad = find_bad_images(paths, args.workers, progress, ImageLimits(args.max_image_pixels))
    for path, reason in bad:
        print(printable(f"{path}: {reason}"))
    if args.list:
        atomic_write(args.list, to_list(path for path, _ in bad))
    classes = classes or {path.parent.name for path in paths}
    print(f"checked {len(paths)} images in {len(classes)} classes: {len(bad)} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
