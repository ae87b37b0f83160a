"""Turn the original ILSVRC2012 tar files into OUT/train and OUT/val: image folders, or MindRecord files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import user_path
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.data_formats.folder_writer import write_folders
from tools.data_formats.imagenet_tars import check_counts, train_images, val_images
from tools.data_formats.record_writer import write_records
from tools.data_formats.stored_image import ImagesByClass
from tools.make_mindrecord import add_conversion_options, check_conversion_options, describe


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status, 0.

    Raises:
        ConfigError: If an option is missing or does not fit another one.
        ValueError: If a tar file is damaged or not ImageNet's, or the data set cannot be written.
        OSError: If a file cannot be read or written.
    """
    parser = argparse.ArgumentParser(prog="prepare_imagenet.py", description=__doc__)
    parser.add_argument("out", type=user_path, metavar="OUT", help="folder of train and val; completed if half written")
    parser.add_argument("--train_tar", type=user_path, metavar="FILE", help="ILSVRC2012_img_train.tar")
    parser.add_argument("--val_tar", type=user_path, metavar="FILE", help="ILSVRC2012_img_val.tar")
    parser.add_argument(
        "--val_labels",
        type=user_path,
        metavar="FILE",
        help="the synset of each val image, one a line, by their numbers",
    )
    parser.add_argument("--mindrecord", action="store_true", help="write MindRecord files instead of image folders")
    parser.add_argument(
        "--allow_other_counts", action="store_true", help="take a part of ImageNet: check no numbers of images"
    )
    add_conversion_options(parser)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    _check_options(args)
    for split, images in _list_images(args).items():
        out = args.out / split
        if args.mindrecord:
            skip = args.bad_images == "skip"
            records = write_records(images, out, 0, args.workers, skip, max_image_pixels=args.max_image_pixels)
            print(describe(records, out), flush=True)
        else:
            write_folders(images, out, args.workers)
            count = sum(map(len, images.values()))
            print(f"{out}: {count} images in {len(images)} classes, complete", flush=True)
    return 0


def _check_options(args: argparse.Namespace) -> None:
    check_conversion_options(args)
    if not (args.train_tar or args.val_tar):
        raise ConfigError("give --train_tar FILE, or --val_tar FILE with --val_labels FILE, or both")
    if bool(args.val_tar) != bool(args.val_labels):
        raise ConfigError("--val_tar and --val_labels belong together: the tar file does not name the classes")
    for path in filter(None, (args.train_tar, args.val_tar, args.val_labels)):
        if not path.is_file():
            raise ConfigError(f"no file {path}: get the ILSVRC2012 files from image-net.org")
    if args.bad_images == "skip" and not args.mindrecord:
        raise ConfigError("--bad_images=skip goes with --mindrecord: folders get every image")


def _list_images(args: argparse.Namespace) -> dict[str, ImagesByClass]:
    """Return the images of the given splits, checked before anything is written."""
    splits = {}
    if args.train_tar:
        splits["train"] = train_images(args.train_tar)
    if args.val_tar:
        splits["val"] = val_images(args.val_tar, args.val_labels)
    for split, images in splits.items():
        if not args.allow_other_counts:
            check_counts(images, split)
    different = sorted(set.symmetric_difference(*map(set, splits.values()))) if len(splits) == 2 else []
    if different:
        raise ConfigError(f"class {different[0]} is in only one of {args.train_tar} and {args.val_labels}")
    return splits


if __name__ == "__main__":
    sys.exit(run_command(main))
