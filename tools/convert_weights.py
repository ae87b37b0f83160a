"""Convert Xception weights of Keras, PyTorch (timm) and MindCV to a checkpoint, or a checkpoint to theirs with --to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import user_path
from src.metadata.class_list import read_class_list
from src.metadata.json_beside import json_path
from src.metadata.metadata import Metadata
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

_SUFFIXES = {
    "keras": (".h5", ".keras"),
    "timm": (".pth", ".pt", ".bin", ".tar", ".safetensors"),
    "mindcv": (".ckpt",),
}
_IMAGE_SIZES = (71, 1 << 16)  # smallest and largest, in pixels
_WRITTEN_SUFFIXES = {"keras": (".h5",), "timm": (".pth", ".pt"), "safetensors": (".safetensors",)}


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If the call does not fit together, or OUT exists.
        ValueError: If a file does not fit.
        OSError: If a file cannot be written.
    """
    args = _parse(argv)
    layout = args.to or _source_layout(args)
    _check_paths(args)
    if args.raw and (args.to or layout != "timm"):
        raise ConfigError("--raw is for files of PyTorch that come in: leave it out")

    from tools.weight_formats.conversion import (  # MindSpore takes seconds
        LAYOUTS,
        Given,
        export_weights,
        import_weights,
    )

    if args.to:
        done = export_weights(args.source, layout, args.out)
    else:
        given = Given(args.num_classes, args.pool_padding, args.image_size, args.class_names, args.raw)
        done = import_weights(args.source, layout, args.out, given)
    print(f"wrote {args.out}: {_summary(done.classes, done.metadata)}")
    if done.beside:
        print(f"wrote {done.beside}: the same for programs of this project; keep it beside {args.out.name}")
    for note in done.notes:
        print(f"note: {note}")
    ours, theirs = done.metadata.pool_padding, LAYOUTS[layout].metadata.pool_padding
    if args.to and ours != theirs:
        print(
            f"note: this network pads max pooling '{ours}', that of {layout} '{theirs}': "
            "their logits differ until its pooling layers are replaced"
        )


def _summary(classes: int, metadata: Metadata) -> str:
    """Return what a file says of its weights, for a line of output."""
    size, share = metadata.image_size, metadata.crop_pct
    return ", ".join(
        (
            f"{classes} classes {'with' if metadata.class_names else 'without'} names",
            f"{metadata.pool_padding} pool padding",
            f"images of {size} x {size}" if size else "image size unknown",
            f"crop {share:.6g}" if share else "crop unknown",
            metadata.interpolation or "interpolation unknown",
        )
    )


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convert_weights.py", description=__doc__)
    parser.add_argument("source", type=user_path, metavar="SRC", help="the file to convert")
    parser.add_argument("out", type=user_path, metavar="OUT", help="the file to write")
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--from",
        dest="source_layout",
        choices=("auto", *_SUFFIXES),
        default="auto",
        help="whose SRC is (default: by name)",
    )
    direction.add_argument("--to", choices=tuple(_WRITTEN_SUFFIXES), help="whose OUT is; SRC is a checkpoint then")
    parser.add_argument("--num_classes", type=int, metavar="N", help="classes of a new classifier, where SRC has none")
    parser.add_argument(
        "--pool_padding",
        choices=("same", "symmetric"),
        help="how SRC's network pads max pooling, if not as its package does (timm: symmetric, others: same)",
    )
    parser.add_argument(
        "--image_size",
        type=int,
        metavar="N",
        help="side of the images that SRC was trained with, if not as SRC or else its package says (299)",
    )
    parser.add_argument(
        "--class_names", type=user_path, metavar="FILE", help="text file with a class name a line, in SRC's order"
    )
    parser.add_argument(
        "--raw", action="store_true", help="take the weights themselves where SRC holds their moving average too"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser.parse_args(argv)


def _source_layout(args: argparse.Namespace) -> str:
    if args.source_layout != "auto":
        return args.source_layout
    for layout, suffixes in _SUFFIXES.items():
        if args.source.suffix in suffixes:
            return layout
    raise ConfigError(f"{args.source} has no known suffix: say whose it is, as --from={'|'.join(_SUFFIXES)}")


def _check_paths(args: argparse.Namespace) -> None:
    """Refuse what would fail, or lose a file, after the work is done."""
    if not args.source.is_file():
        raise ConfigError(f"no file {args.source}: check the path")
    for name in ("num_classes", "pool_padding", "image_size", "class_names"):
        if args.to and getattr(args, name) is not None:
            raise ConfigError(f"--{name} is for weights that come in: leave it out with --to")
    if args.num_classes is not None and args.num_classes < 1:
        raise ConfigError(f"--num_classes must be at least 1, got {args.num_classes}")
    smallest, largest = _IMAGE_SIZES
    if args.image_size is not None and not smallest <= args.image_size <= largest:
        raise ConfigError(f"--image_size must be {smallest} to {largest}, got {args.image_size}")
    if args.class_names is not None:
        _check_class_names(args.class_names)
    suffixes = _WRITTEN_SUFFIXES[args.to] if args.to else (".ckpt",)
    if args.out.suffix not in suffixes:
        raise ConfigError(f"OUT must end in {' or '.join(suffixes)}, got {args.out}")
    for path in (args.out, json_path(args.out)) if args.to == "timm" else (args.out,):
        if not os.path.lexists(path):
            continue
        if not args.overwrite:
            raise ConfigError(f"{path} exists: choose another name, or add --overwrite")
        if path.exists() and path.samefile(args.source):
            raise ConfigError(f"SRC and OUT are the same file, {path}: choose another name")


def _check_class_names(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"no file {path}: --class_names is a text file with a name a line")
    for number, name in enumerate(read_class_list(path), start=1):
        if not name.strip():
            raise ConfigError(f"{path} has no name in line {number}: every class has one")


if __name__ == "__main__":
    sys.exit(run_command(main))
