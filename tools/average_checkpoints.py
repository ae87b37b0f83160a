"""Average the weights of several checkpoints into one, which is often better than each: such as a run's last five."""

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

from src.checkpoints.named import named_checkpoints
from src.common.files import expand_home, printable, user_path
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

_EPILOG = """The checkpoints must be of one network and one data set: the same classes, sizes and padding. Batch-norm
statistics are averaged as the weights are. OUT has the weights and what they mean, but no training to resume."""


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If OUT has a wrong name, exists, or is one of the checkpoints.
        ValueError: If the checkpoints do not fit together.
        OSError: If OUT cannot be written.
    """
    args = _parse(argv)
    paths = list(dict.fromkeys(path for word in args.checkpoints for path in named_checkpoints(word)))
    _check_out(args.out, args.overwrite, paths)

    from src.checkpoints.average import average_checkpoints  # MindSpore takes seconds to import: --help does without
    from src.checkpoints.weights import save_weights

    averaged = average_checkpoints(paths, use_average=not args.raw)
    save_weights(args.out, averaged.network, averaged.metadata)
    for path in averaged.counted:
        print(printable(f"averaged {path}"))
    for path in averaged.repeated:
        print(printable(f"left out {path}: it holds the weights of another one"))
    print(printable(f"wrote {args.out}: the mean of {len(averaged.counted)} checkpoints"))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="average_checkpoints.py", description=__doc__, epilog=_EPILOG)
    parser.add_argument("out", type=user_path, metavar="OUT", help="the checkpoint to write, ending in .ckpt")
    parser.add_argument(
        "checkpoints",
        nargs="+",
        type=expand_home,
        metavar="CKPT",
        help="file, folder of checkpoints, or pattern such as 'cpu-ckpt/model_0/Xception-rank0-*.ckpt'",
    )
    parser.add_argument(
        "--raw", action="store_true", help="take the weights themselves where a file holds their moving average too"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser.parse_args(argv)


def _check_out(out: Path, overwrite: bool, paths: Sequence[Path]) -> None:
    """Refuse what would fail, or lose a file, after the work is done."""
    if out.suffix != ".ckpt":
        raise ConfigError(f"OUT must end in .ckpt, got {out}")
    if os.path.lexists(out) and not overwrite:
        raise ConfigError(f"{out} exists: choose another name, or add --overwrite")
    if out.exists() and any(path.exists() and path.samefile(out) for path in paths):
        raise ConfigError(f"{out} is OUT and one of the checkpoints: choose another name")


if __name__ == "__main__":
    sys.exit(run_command(main))
