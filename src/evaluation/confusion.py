"""The confusion matrix of an evaluation and the accuracy of each class, as tables and as a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.common.files import atomic_write, to_csv
from src.common.plotting import MISSING_MATPLOTLIB, has_matplotlib, new_figure, printable_names, to_png
from src.evaluation.mistakes import most_confused

CONFUSION_MATRIX = "confusion_matrix.png"

_MAX_NUMBERED = 20  # more classes leave no room for numbers in the cells
_MAX_NAMED = 60  # more classes leave no room for their names


def write_confusion(folder: Path, confusion: np.ndarray, class_names: Sequence[str]) -> list[Path]:
    """Write per_class.csv, confused.csv, confusion_matrix.csv and, with matplotlib installed, confusion_matrix.png.

    The columns of per_class.csv: `class`; `images` of it; `correct`, those recognised; `top_1`, their share (recall);
    `predicted`, images taken for this class; `precision`, the share of these that are right; `f1`, the harmonic mean
    of recall and precision. Shares are 0 to 1, and empty where there is nothing to divide by. confused.csv holds the
    pairs of classes that are confused most, with the number of `images` and their share of the true class's.

    Args:
        folder: Where to; created if missing.
        confusion: Int (classes, classes), number of images by (true class, predicted class).
        class_names: Name of each class.

    Returns:
        The written files. Without matplotlib a line on stderr tells how to get the picture.

    Raises:
        ValueError: If the matrix does not have a row and a column for each name; nothing is written.
        OSError: If a file cannot be written.
    """
    if confusion.shape != (len(class_names), len(class_names)):
        raise ValueError(f"a confusion matrix of shape {confusion.shape} does not fit {len(class_names)} class names")
    written = [folder / "per_class.csv", folder / "confusion_matrix.csv", folder / "confused.csv"]
    atomic_write(written[0], to_csv(per_class_rows(confusion, class_names)))
    header = ["true \\ predicted", *class_names]
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    atomic_write(written[1], to_csv([header, *rows]))
    atomic_write(written[2], to_csv(confused_rows(confusion, class_names)))
    if has_matplotlib():
        written.append(folder / CONFUSION_MATRIX)
        atomic_write(written[3], _draw_confusion(confusion, class_names))
    else:
        (folder / CONFUSION_MATRIX).unlink(missing_ok=True)  # of an earlier evaluation
        print(f"{folder / CONFUSION_MATRIX} is left out: {MISSING_MATPLOTLIB}", file=sys.stderr, flush=True)
    return written


def per_class_rows(confusion: np.ndarray, class_names: Sequence[str]) -> list[list[Any]]:
    """Return the header and a row for each class."""
    correct = confusion.diagonal().tolist()
    images = confusion.sum(1).tolist()
    predicted = confusion.sum(0).tolist()
    rows: list[list[Any]] = [["class", "images", "correct", "top_1", "predicted", "precision", "f1"]]
    for name, count, right, guesses in zip(class_names, images, correct, predicted, strict=True):
        f1 = _share(2 * right, count + guesses)
        rows.append([name, count, right, _share(right, count), guesses, _share(right, guesses), f1])
    return rows


def confused_rows(confusion: np.ndarray, class_names: Sequence[str]) -> list[list[Any]]:
    """Return the header and a row for each of the most confused pairs of classes."""
    rows: list[list[Any]] = [["class", "taken for", "images", "share"]]
    for pair in most_confused(confusion):
        rows.append([class_names[pair.label], class_names[pair.predicted], pair.count, f"{pair.share:.6f}"])
    return rows


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.6f}" if whole else ""


def _draw_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    from matplotlib.colors import PowerNorm

    classes = len(confusion)
    cell = 0.4 if classes <= _MAX_NUMBERED else 0.16
    side = max(4.5, cell * classes) if classes <= _MAX_NAMED else 11.0
    figure = new_figure(side + 2.5, side + 2.0, "compressed")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    # Mistakes are few beside what is right: a root makes one image in fifty visible.
    norm = PowerNorm(0.4, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    bar = figure.colorbar(image, label="share of the true class's images, %", aspect=30)
    bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], labels=["0", "1", "5", "10", "25", "50", "100"])
    right, total = int(confusion.trace()), int(confusion.sum())
    axes.set_title(f"Confusion matrix\n{right} of {total} images correct ({100 * right / max(total, 1):.1f} %)")
    if classes <= _MAX_NAMED:
        names = printable_names(class_names)
        size = 9 if classes <= _MAX_NUMBERED else 7
        upright = max(map(len, names)) * size / 100 > side / classes  # a letter is about size / 100 inches wide
        # A dollar sign would begin a formula.
        axes.set_xticks(range(classes), names, rotation=90 if upright else 0, fontsize=size, parse_math=False)
        axes.set_yticks(range(classes), names, fontsize=size, parse_math=False)
    numbering = "" if classes <= _MAX_NAMED else ", numbered from 0 as in per_class.csv"
    axes.set_xlabel(f"predicted class{numbering}")
    axes.set_ylabel(f"true class{numbering}")
    if classes <= _MAX_NUMBERED:
        for row, column in np.argwhere(confusion):  # an empty cell says 0 by its colour
            colour = "white" if norm(shares[row, column]) > 0.6 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=9)
    return to_png(figure)
