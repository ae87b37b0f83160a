"""Divide image folders, one folder a class, into train, val and perhaps test, by the names of the images."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import check_free_space, naming, printable, temporary_path, to_csv, user_path
from src.common.progress import Progress
from src.data.duplicates import find_duplicates
from src.data.image_list import list_data
from src.data.listing import Listing, describe_images
from src.data.partition import Part, divide
from src.data.record_set import holds_record_files
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.data_formats.near_duplicates import HASH_BITS, find_near_duplicates
from tools.make_mindrecord import add_recursive

_LIST = "list"


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status, 0.

    Raises:
        ConfigError: If an option is out of range or a folder does not fit.
        ValueError: If the images do not fit.
        OSError: If a file cannot be read or written.
    """
    args = _parse(argv)
    listing = list_data(str(args.data), args.recursive)
    print("\n".join(describe_images(str(args.data), _counts(listing), listing.unread)), flush=True)
    if args.leave_out:
        listing = _without(listing, args.leave_out)
    if listing.not_regular:
        raise ValueError(f"{printable(listing.not_regular[0])} is no regular file: remove it")
    parts = dict(zip(("train", "val", "test"), _divide(args, listing), strict=False))
    for name in [name for name, count in _counts(listing).items() if count < len(parts)]:
        print(f"warning: class {printable(name)} has fewer images than there are parts", file=sys.stderr, flush=True)
    _write(args, listing, parts)
    for part, classes in parts.items():
        counts = [len(paths) for paths in classes.values()]
        place = args.out / (f"{part}.csv" if args.form == _LIST else part)
        print(f"{printable(place)}: {sum(counts):,} images, {min(counts):,} to {max(counts):,} of each class")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="split_dataset.py", description=__doc__)
    parser.add_argument(
        "data", type=user_path, metavar="DATA", help="image folders, one folder a class, or a list of images"
    )
    parser.add_argument("out", type=user_path, metavar="OUT", help="new folder; it appears when it is complete")
    parser.add_argument("--val", type=float, default=0.1, help="share for validation (default: %(default)s)")
    parser.add_argument("--test", type=float, default=0.0, help="share for a last test (default: none)")
    parser.add_argument(
        "--form",
        choices=(*_PUT, _LIST),
        default="copy",
        help="copies of the images, links to them, or CSV files of their paths (default: %(default)s)",
    )
    parser.add_argument(
        "--near_duplicates",
        type=int,
        metavar="BITS",
        help=f"keep images together whose hashes differ in so many of {HASH_BITS} bits or fewer; 4 is usual",
    )
    parser.add_argument(
        "--leave_out",
        type=user_path,
        metavar="FILE",
        help="leave out the images in this file, a path a line, as check_dataset.py --list writes it",
    )
    add_recursive(parser)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    if not (args.val > 0 and args.test >= 0 and args.val + args.test < 1):
        raise ConfigError(
            f"--val must be above 0, --test 0 or more, and both together below 1, got {args.val:g} and {args.test:g}"
        )
    if args.near_duplicates is not None and not 0 <= args.near_duplicates < HASH_BITS:
        raise ConfigError(f"--near_duplicates must be from 0 to {HASH_BITS - 1}, got {args.near_duplicates}")
    if holds_record_files(str(args.data)):
        raise ConfigError(f"{args.data} holds MindRecord files: divide the folder that they were made from")
    if os.path.lexists(args.out):
        raise ConfigError(f"{args.out} is there already: remove it or choose another folder")
    if args.data.is_dir() and args.out.resolve().is_relative_to(args.data.resolve()):
        raise ConfigError(f"{args.out} is inside {args.data}: choose a folder beside it")
    return args


def _counts(listing: Listing) -> dict[str, int]:
    return {name: len(paths) for name, paths in listing.images.items()}


def _without(listing: Listing, file: Path) -> Listing:
    """Return the images that a file does not list, and say how many it does."""
    listed = {os.path.abspath(os.fsdecode(line)) for line in file.read_bytes().split(b"\n") if line}
    if listed and not any(map(os.path.exists, listed)):
        print(
            f"warning: nothing that {printable(file)} lists is there: its paths count from the folder where "
            "check_dataset.py was called",
            file=sys.stderr,
            flush=True,
        )
    kept = {
        name: [path for path in paths if os.path.abspath(path) not in listed] for name, paths in listing.images.items()
    }
    for name in [name for name, paths in kept.items() if not paths and listing.images[name]]:
        raise ValueError(f"{printable(file)} lists all images of class {printable(name)}: mend or remove its folder")
    left_out = len(listing.paths) - sum(map(len, kept.values()))
    print(f"{left_out:,} of them left out, as {printable(file)} lists them", flush=True)
    return listing.part(kept, listing.unread)


def _divide(args: argparse.Namespace, listing: Listing) -> list[Part]:
    """Return the images of each part, and say which had to stay together."""
    paths = listing.paths
    alike = find_duplicates(paths)
    if alike:
        print(f"{sum(map(len, alike)):,} images are equal to another one, and stay together with it")
    if args.near_duplicates is not None:
        near, undecoded = find_near_duplicates(paths, args.near_duplicates)
        print(f"{len({path for group in near for path in group}):,} images look like others, and stay with them")
        if undecoded:
            print(f"warning: {undecoded:,} images cannot be decoded, and are not compared", file=sys.stderr, flush=True)
        alike += near
    class_of = {path: name for name, images in listing.images.items() for path in images}
    across = [group for group in alike if len({class_of[path] for path in group}) > 1]
    if across:
        print(
            printable(
                f"warning: images that are alike have different classes: {across[0][0]} and "
                f"{next(path for path in across[0] if class_of[path] != class_of[across[0][0]])}"
                + (f", and {len(across) - 1:,} times more" if len(across) > 1 else "")
            ),
            file=sys.stderr,
            flush=True,
        )
    return divide(listing.images, listing.name_of, [args.val, *([args.test] if args.test else [])], alike)


def _write(args: argparse.Namespace, listing: Listing, parts: dict[str, Part]) -> None:
    """Write the parts into a new folder, under its name when all of it is there."""
    if args.form == "copy":
        check_free_space(args.out, sum(map(os.path.getsize, listing.paths)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    work = temporary_path(args.out)
    try:
        with naming(args.out), Progress(len(listing.paths), args.out.name) as progress:
            work.mkdir()
            for part, classes in parts.items():
                if args.form == _LIST:
                    rows = [(_path_from(args.out, path), name) for name, paths in classes.items() for path in paths]
                    (work / f"{part}.csv").write_bytes(
                        to_csv([("path", "class"), *rows]).encode(errors="surrogateescape")
                    )
                    continue
                for name, paths in classes.items():
                    (work / part / name).mkdir(parents=True)
                    for path in paths:
                        new = (
                            work
                            / part
                            / (f"{name}/{os.path.basename(path)}" if listing.is_list else listing.name_of(path))
                        )
                        if os.path.lexists(new):
                            raise ValueError(
                                f"two images of {printable(name)} are called {printable(new.name)}: use --form=list"
                            )
                        new.parent.mkdir(parents=True, exist_ok=True)
                        _PUT[args.form](path, new)
                        progress.update(1)
        os.sync()  # the images are on the disk before the name says that they are complete
        os.rename(work, args.out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _path_from(folder: Path, path: str) -> str:
    """Return the path of an image from a folder, so that both can be moved together."""
    try:
        return os.path.relpath(os.path.realpath(os.path.dirname(path)), os.path.realpath(folder)) + (
            f"/{os.path.basename(path)}"
        )
    except ValueError:  # they are on different drives
        return os.path.abspath(path)


def _hard_link(path: str, new: Path) -> None:
    os.link(os.path.realpath(path), new)


def _symbolic_link(path: str, new: Path) -> None:
    os.symlink(os.path.abspath(path), new)


_PUT: dict[str, Callable[[str, Path], object]] = {
    "copy": shutil.copy2,
    "hardlink": _hard_link,
    "symlink": _symbolic_link,
}


if __name__ == "__main__":
    sys.exit(run_command(main))
