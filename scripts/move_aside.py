"""Move what an earlier run has left in the current folder to earlier-1, or the first of earlier-2, ... that is free."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.common.files import move_aside
from src.model_utils.command import run_command


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ValueError: If two of the files have the same name; nothing is moved.
        OSError: If a file cannot be moved.
    """
    parser = argparse.ArgumentParser(prog="move_aside.py", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a file or folder; those that are not there are left")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    work = Path.cwd()
    earlier = move_aside([work / name for name in parser.parse_args(argv).names], work)
    if earlier:
        print(f"moved the results of an earlier run to {earlier.name}")


if __name__ == "__main__":
    sys.exit(run_command(main))
