"""What people look at: training curves, the confusion matrix, the accuracy of each class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.files import atomic_write, to_csv
from src.metrics_log import Row, read_metrics

MISSING_MATPLOTLIB = "matplotlib is not installed: pip install -r requirements-plot.txt"

_MAX_NUMBERED = 15  # more classes leave no room for numbers in the cells
_MAX_NAMED = 60  # more classes leave no room for their names
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"  # told apart by colour-blind people too


def write_evaluation_report(folder: Path, confusion: np.ndarray, class_names: Sequence[str]) -> list[Path]:
    """Write per_class.csv, confusion_matrix.csv and, with matplotlib installed, confusion_matrix.png.

    Args:
        folder: Where to; created if missing.
        confusion: Int (classes, classes), number of images by (true class, predicted class).
        class_names: Name of each class.

    Returns:
        The written files.

    Raises:
        OSError: If a file cannot be written.
    """
    written = [folder / "per_class.csv", folder / "confusion_matrix.csv"]
    atomic_write(written[0], to_csv(_per_class_rows(confusion, class_names)))
    header = ["true \\ predicted", *class_names]
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    atomic_write(written[1], to_csv([header, *rows]))
    if has_matplotlib():
        written.append(folder / "confusion_matrix.png")
        atomic_write(written[2], _draw_confusion(confusion, class_names))
    return written


def write_curves(metrics: Path) -> Path | None:
    """Draw the curves of a metrics.csv as curves.png beside it.

    Args:
        metrics: The file.

    Returns:
        The picture, or None without matplotlib or without rows.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If it is no metrics file.
    """
    rows = read_metrics(metrics)
    if not rows or not has_matplotlib():
        return None
    picture = metrics.with_name("curves.png")
    atomic_write(picture, _draw_curves(rows))
    return picture


def has_matplotlib() -> bool:
    """Tell whether pictures can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def _per_class_rows(confusion: np.ndarray, class_names: Sequence[str]) -> list[list[Any]]:
    """Return class, images, correct, top-1 (recall), precision; a share of nothing is empty."""
    correct = confusion.diagonal().tolist()
    images = confusion.sum(1).tolist()
    predicted = confusion.sum(0).tolist()
    rows: list[list[Any]] = [["class", "images", "correct", "top_1", "predicted", "precision"]]
    for name, count, right, guesses in zip(class_names, images, correct, predicted, strict=True):
        rows.append([name, count, right, _share(right, count), guesses, _share(right, guesses)])
    return rows


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.6f}" if whole else ""


def _draw_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    classes = len(confusion)
    side = min(4 + 0.32 * classes, 20)
    figure = _new_figure(side + 1, side)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, label="share of the true class's images", fraction=0.046, pad=0.03)
    total = max(int(confusion.sum()), 1)
    axes.set_title(
        f"Confusion matrix: {confusion.trace()} of {confusion.sum()} images correct "
        f"({100 * confusion.trace() / total:.1f} %)"
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if classes <= _MAX_NAMED:
        names = [_printable(name) for name in class_names]
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(classes), names)
    if classes <= _MAX_NUMBERED:
        for (row, column), count in np.ndenumerate(confusion):
            colour = "black" if shares[row, column] > 0.5 else "white"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    return _to_png(figure)


def _draw_curves(rows: Sequence[Row]) -> bytes:
    validated = [row for row in rows if row.val_top_1 is not None]
    panels = 3 if validated else 2
    figure = _new_figure(9, 2.6 * panels)
    axes = figure.subplots(panels, 1, sharex=True)
    steps = [row.step for row in rows]
    axes[0].plot(steps, [row.loss for row in rows], color=_BLUE, marker="." if len(rows) < 40 else "")
    axes[0].set_ylabel("training loss")
    axes[0].set_title(f"Training: {rows[-1].epoch} epochs, {steps[-1]} steps, last loss {rows[-1].loss:.3f}")
    axes[1].plot(steps, [row.lr for row in rows], color=_ORANGE, marker="." if len(rows) < 40 else "")
    axes[1].set_ylabel("learning rate")
    if validated:
        ends = [row.step for row in validated]
        best = max(row.val_top_1 or 0.0 for row in validated)
        axes[2].plot(ends, [100 * (row.val_top_5 or 0.0) for row in validated], color=_GREY, marker="o", label="top-5")
        axes[2].plot(ends, [100 * (row.val_top_1 or 0.0) for row in validated], color=_GREEN, marker="o", label="top-1")
        axes[2].set_ylabel(f"validation, %\n(best top-1 {100 * best:.2f})")
        axes[2].legend(loc="lower right")
    for panel in axes:
        panel.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    return _to_png(figure)


def _new_figure(width: float, height: float) -> Any:
    """Return a figure of its own, in inches, outside the global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _to_png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _printable(name: str) -> str:
    """Return a class name that matplotlib's own font can draw, no longer than a label should be."""
    short = name if len(name) <= 20 else f"{name[:17]}..."
    # A dollar sign begins a formula; scripts beyond the font become visible as escapes.
    return short.replace("$", r"\$").encode("latin-1", "backslashreplace").decode("latin-1")
