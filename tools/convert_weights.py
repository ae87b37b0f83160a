"""Convert Xception weights of Keras, PyTorch (timm) and MindCV to a checkpoint, or a checkpoint to theirs with --to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

_SUFFIXES = {
    "keras": (".h5", ".keras"),
    "timm": (".pth", ".pt", ".bin", ".tar", ".safetensors"),
    "mindcv": (".ckpt",),
}
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

    from tools.weight_formats.conversion import LAYOUTS, export_weights, import_weights  # MindSpore takes seconds

    if args.to:
        done = export_weights(args.source, layout, args.out)
    else:
        done = import_weights(args.source, layout, args.out, args.num_classes, args.pool_padding, raw=args.raw)
    print(f"wrote {args.out}: {done.classes} classes, {done.pool_padding} pool padding")
    for note in done.notes:
        print(f"note: {note}")
    theirs = LAYOUTS[layout].pool_padding
    if args.to and done.pool_padding != theirs:
        print(
            f"note: this network pads max pooling '{done.pool_padding}', that of {layout} '{theirs}': "
            "their logits differ until its pooling layers are replaced"
        )


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convert_weights.py", description=__doc__)
    parser.add_argument("source", type=Path, metavar="SRC", help="the file to convert")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write")
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
    if args.to and (args.num_classes is not None or args.pool_padding):
        raise ConfigError("--num_classes and --pool_padding are for weights that come in: leave them out with --to")
    if args.num_classes is not None and args.num_classes < 1:
        raise ConfigError(f"--num_classes must be at least 1, got {args.num_classes}")
    suffixes = _WRITTEN_SUFFIXES[args.to] if args.to else (".ckpt",)
    if args.out.suffix not in suffixes:
        raise ConfigError(f"OUT must end in {' or '.join(suffixes)}, got {args.out}")
    if os.path.lexists(args.out):
        if not args.overwrite:
            raise ConfigError(f"{args.out} exists: choose another name, or add --overwrite")
        if args.out.exists() and args.out.samefile(args.source):
            raise ConfigError(f"SRC and OUT are the same file, {args.out}: choose another name")


if __name__ == "__main__":
    sys.exit(run_command(main))
