"""The report of an evaluation with everything that is known about it, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.common.files import atomic_write, to_csv
from src.common.plotting import has_matplotlib
from src.data.encoded_image import EncodedImage
from src.evaluation.confusion import CONFUSION_MATRIX, confused_rows, per_class_rows, write_evaluation_report
from src.evaluation.contact_sheet import draw_contact_sheet
from src.evaluation.html_report import build_page, to_image, to_table
from src.evaluation.mistakes import Mistake

_MISTAKES = "mistakes.png"


@dataclass(frozen=True)
class Evaluated:
    """What was evaluated, and how it went.

    Args:
        name: What was evaluated, for the heading.
        figures: The headline figures, by label.
        confusion: Int (classes, classes), number of images by (true class, predicted class).
        class_names: Name of each class.
        mistakes: The most confident mistakes.
        images: The image of each mistake.
        curves: Picture of the training's curves; need not exist.
    """

    name: str
    figures: dict[str, str]
    confusion: np.ndarray
    class_names: Sequence[str]
    mistakes: Sequence[Mistake] = ()
    images: Sequence[EncodedImage] = ()
    curves: Path | None = None


def write_full_report(folder: Path, evaluated: Evaluated) -> list[Path]:
    """Write tables, pictures and report.html, which holds all of them and needs no other file.

    Args:
        folder: Where to; created if missing.
        evaluated: What it is about.

    Returns:
        The written files; pictures are left out without matplotlib, which is said on stderr.

    Raises:
        OSError: If a file cannot be written.
    """
    names = evaluated.class_names
    written = write_evaluation_report(folder, evaluated.confusion, names)
    written.append(folder / "mistakes.csv")
    atomic_write(written[-1], to_csv(_mistake_rows(evaluated)))
    if evaluated.mistakes and has_matplotlib():
        contents = [image.content for image in evaluated.images]
        written.append(folder / _MISTAKES)
        atomic_write(written[-1], draw_contact_sheet(evaluated.mistakes, contents, names))
    written.append(folder / "report.html")
    atomic_write(written[-1], _page(evaluated, {path.name: path for path in written}))
    return written


def _page(evaluated: Evaluated, written: Mapping[str, Path]) -> str:
    confusion, names = evaluated.confusion, evaluated.class_names
    pairs = confused_rows(confusion, names)
    header, *rows = per_class_rows(confusion, names)
    rows.sort(key=lambda row: row[3] or "2")  # the worst class first, one without images last
    sections = [
        ("Training", _picture(evaluated.curves, "loss, learning rate and validation while training")),
        ("Confusion matrix", _picture(written.get(CONFUSION_MATRIX), "confusion matrix")),
        ("Most confused classes", to_table(pairs) if len(pairs) > 1 else ""),
        ("Most confident mistakes", _picture(written.get(_MISTAKES), "images of the most confident mistakes")),
        ("Classes, the worst first", to_table([header, *rows])),
    ]
    return build_page(f"Evaluation of {evaluated.name}", evaluated.figures, sections)


def _picture(path: Path | None, description: str) -> str:
    return to_image(path.read_bytes(), description) if path and path.exists() else ""


def _mistake_rows(evaluated: Evaluated) -> list[list[object]]:
    names = evaluated.class_names
    rows: list[list[object]] = [["image", "class", "taken for", "probability"]]
    for mistake, image in zip(evaluated.mistakes, evaluated.images, strict=True):
        name = image.name.encode(errors="backslashreplace").decode()
        rows.append([name, names[mistake.label], names[mistake.predicted], f"{mistake.confidence:.6f}"])
    return rows
