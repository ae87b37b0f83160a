"""The report of an evaluation with everything that is known about it, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageOps

from src.checkpoints.names import BAD_IMAGES, CURVES
from src.common.files import atomic_write, to_csv
from src.common.plotting import has_matplotlib, new_figure, printable_names, to_png
from src.data.decoded_image import decoded_image
from src.data.encoded_image import EncodedImage
from src.data.usable_images import write_bad_images
from src.dataset import readable_errors
from src.evaluation.confusion import CONFUSION_MATRIX, confused_rows, per_class_rows, write_confusion
from src.evaluation.counting import Result
from src.evaluation.evaluation_set import EvaluationSet
from src.evaluation.html_report import build_page, to_image, to_table
from src.evaluation.mistakes import Mistake
from src.model_utils.config import Config

_MISTAKES = "mistakes.png"
_COLUMNS = 6  # of the picture of mistakes
_SIDE = 160  # pixels of an image in it


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
    written = write_confusion(folder, evaluated.confusion, names)
    written.append(folder / "mistakes.csv")
    atomic_write(written[-1], to_csv(_mistake_rows(evaluated)))
    (folder / _MISTAKES).unlink(missing_ok=True)  # of an earlier evaluation
    if evaluated.mistakes and has_matplotlib():
        contents = [image.content for image in evaluated.images]
        written.append(folder / _MISTAKES)
        atomic_write(written[-1], _draw_contact_sheet(evaluated.mistakes, contents, names))
    written.append(folder / "report.html")
    atomic_write(written[-1], _page(evaluated, {path.name: path for path in written}))
    return written


def write_report(config: Config, weights: Path, result: Result, evaluated: EvaluationSet) -> list[Path]:
    """Write the files of the configured `eval_report`, none if there is none, and return their paths.

    Args:
        config: With `eval_report` and `test_data_dir`.
        weights: The file that was evaluated; the curves of its training are beside it.
        result: What the evaluation found.
        evaluated: The test images and their classes.

    Raises:
        OSError: If a file cannot be written.
    """
    if not config.eval_report:
        return []
    folder = Path(config.eval_report)
    written = write_full_report(folder, _evaluated(config, weights, result, evaluated))
    return written + write_bad_images(folder / BAD_IMAGES, evaluated.images)


def _evaluated(config: Config, weights: Path, result: Result, evaluated: EvaluationSet) -> Evaluated:
    """Return what the report is about."""
    images, classes = evaluated.images, evaluated.classes
    with readable_errors(images.source):
        mistaken = images.source.read([each.image for each in result.mistakes], images.excluded)
    figures = {
        "images": f"{result.images:,}",
        "loss": f"{result.loss:.4f}",
        "top-1": f"{result.top_1:.2%}",
        "top-5": f"{result.top_5:.2%}",
    }
    if classes.absent:
        figures["classes without images"] = f"{len(classes.absent)} of {len(classes.names)}"
    return Evaluated(
        name=f"{weights.name} on {config.test_data_dir}",
        figures=figures,
        confusion=result.confusion,
        class_names=classes.names,
        mistakes=result.mistakes,
        images=mistaken,
        curves=weights.with_name(CURVES),
    )


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


def _draw_contact_sheet(mistakes: Sequence[Mistake], images: Sequence[bytes], class_names: Sequence[str]) -> bytes:
    """Draw the images of mistakes, each with its true class, what it was taken for and how surely, as a PNG file."""
    names = printable_names(class_names)
    rows = -(-len(mistakes) // _COLUMNS)
    figure = new_figure(1.9 * _COLUMNS, 2.3 * rows + 0.5, "constrained")
    figure.suptitle("Most confident mistakes: true class, prediction and its probability")
    places = figure.subplots(rows, _COLUMNS, squeeze=False).flat  # the last ones may stay empty
    for mistake, image, axes in zip(mistakes, images, places, strict=False):
        axes.imshow(_small_picture(image), interpolation="nearest")
        caption = f"{names[mistake.label]}\ntaken for {names[mistake.predicted]}, {mistake.confidence:.1%}"
        axes.set_title(caption, fontsize=8, parse_math=False)
    for axes in figure.axes:
        axes.set_axis_off()
    return to_png(figure)


def _small_picture(content: bytes) -> np.ndarray:
    """Return an image as uint8 (_SIDE, _SIDE, 3), whole, with bars where it is not square."""
    return np.asarray(ImageOps.pad(decoded_image(content), (_SIDE, _SIDE), color="white"))
