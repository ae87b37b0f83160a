"""What the quick start has reached, and where it is."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path

from src.checkpoints.names import CURVES, METRICS, numbered_checkpoints
from src.common.files import printable
from src.model_utils.config import ConfigError

_REPORT = ("report.html", "per_class.csv", "confusion_matrix.png")


def to_lines(rows: Sequence[tuple[str, object]]) -> list[str]:
    """Return the table of the results as lines.

    Args:
        rows: Name and value of each; a list is shown as one value a line.
    """
    lines = []
    for name, value in rows:
        for each in value if isinstance(value, list) else [value]:
            lines.append(f"{name:<20} {printable(str(each))}")
            name = ""
    return lines


def figures_of(lines: Sequence[str]) -> dict[str, float]:
    """Return the last figures that a command has printed, and of how many images and classes."""
    figures: dict[str, float] = {}
    for line in lines:
        if found := re.match(r"result: (\{.*?\})", line):
            figures.update(ast.literal_eval(found[1]))
        elif found := re.match(r"evaluated (\d+) images", line):
            figures["images"] = int(found[1])
        elif found := re.match(r"data: (\d+) images in (\d+) classes", line):
            figures.update(images=int(found[1]), classes=int(found[2]))
    return figures


def newest(args: argparse.Namespace) -> Path:
    """Return the checkpoint of the latest epoch."""
    checkpoints = numbered_checkpoints(args.model)
    if not checkpoints:
        raise ConfigError(f"no checkpoint is left in {args.model}: remove {args.folder / 'train.json'} to train again")
    return checkpoints[-1]


def _short(path: Path) -> Path:
    """Return a path as a person in the current folder would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def rows_of(args: argparse.Namespace) -> list[tuple[str, object]]:
    """Return the table: name and value of each row, a list where there are several values.

    Args:
        args: The options, after the last stage.

    Raises:
        ConfigError: If the checkpoints are gone.
        OSError: If a file of the stages is.
    """
    folder, checkpoint = args.folder, newest(args)
    trained, evaluated = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("train.json", "eval.json")
    )
    files = [args.model / METRICS, args.model / CURVES, *(folder / "report" / name for name in _REPORT)]
    rows: list[tuple[str, object]] = []
    if "images" in trained:  # earlier versions did not write it
        rows.append(("training images", "{images} in {classes} classes".format_map(trained)))
    rows += [
        ("held-out images", evaluated["images"]),
        ("epochs", re.findall(r"\d+", checkpoint.stem)[1]),
        ("top-1", _percent(evaluated["Top_1_Acc"])),
        ("top-5", _percent(evaluated["Top_5_Acc"])),
        ("training seconds", trained["seconds"]),
        ("evaluation seconds", evaluated["seconds"]),
        ("checkpoint", f"{_short(checkpoint)} (all that predict.py, eval.py and export.py need)"),
        ("files written", [_short(path) for path in (*files, folder / "xception.mindir") if path.exists()]),
    ]
    if args.data and args.bad_images.stat().st_size:
        rows.append(("images left out", f"those in {_short(args.bad_images)}"))
    return rows
