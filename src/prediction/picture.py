"""A picture of each prediction: the image, on request with a heat map, and a bar for each of the five best classes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.common.files import atomic_write, move_aside, printable
from src.common.plotting import MISSING_MATPLOTLIB, has_matplotlib, new_figure, printable_names, to_png
from src.common.regular_file import read_regular
from src.data.decoded_image import decoded_image
from src.prediction.ranking import Prediction

BARS = 5
_MAX_SIDE = 640  # pixels of an image in a picture; more would only be scaled down when it is drawn


class PictureFolder:
    """The folder of the pictures, which mirrors the folders of the images below their common one.

    An image `photos/cat/1.jpg` beside `photos/dog/1.jpg` becomes `cat/1.jpg.png`. A file of that name that is there
    already is moved into `earlier-<n>` beside it.

    Args:
        folder: Where to; created if missing.
        paths: All images that may be drawn.
        class_names: Name of every class.
        seen_share: Side of the central square that the network sees, as a share of the image's shorter side, 0 to 1.

    Raises:
        ValueError: If matplotlib is missing, or a picture would take the place of an image.
        OSError: If a file cannot be moved.
    """

    def __init__(self, folder: Path, paths: Sequence[Path], class_names: Sequence[str], seen_share: float):
        if not has_matplotlib():
            raise ValueError(f"no pictures without it: {MISSING_MATPLOTLIB}")
        self._folder = folder
        self._names = printable_names(class_names)
        self._seen_share = seen_share
        parents = {os.path.dirname(os.path.abspath(path)) for path in paths}
        self._base = os.path.commonpath(parents) if parents else ""
        self._move_aside(paths)

    def draw(self, prediction: Prediction, heat: np.ndarray | None = None, heat_class: int | None = None) -> None:
        """Write the picture of one image.

        Args:
            prediction: Of an image of the folder's, with the five best classes or more.
            heat: Float (h, w), 0 or more, over the central square; None draws no heat map.
            heat_class: The class that it is of; None stands for the most likely one.

        Raises:
            OSError: If the picture cannot be written.
        """
        best = prediction.first(BARS)
        image = _open(best.path)
        figure = new_figure(6.5 if heat is None else 9, 2.8, "constrained")
        panels = figure.subplots(1, 2 if heat is None else 3)
        panels[0].imshow(image)
        panels[0].set_title(*printable_names([best.path.name]), fontsize=10, parse_math=False)
        if heat is not None:
            label = best.classes[0] if heat_class is None else heat_class
            panels[1].imshow(image)
            _draw_heat(panels[1], heat, image.size, self._seen_share)
            panels[1].set_title(f"Grad-CAM: {self._names[label]}", fontsize=10, parse_math=False)
        for panel in panels[:-1]:
            panel.set_axis_off()
        _draw_bars(panels[-1], [self._names[label] for label in best.classes], np.array(best.probabilities))
        atomic_write(self._target(best.path), to_png(figure))

    def _move_aside(self, paths: Sequence[Path]) -> None:
        """Make room for the pictures of these images."""
        images = {os.path.realpath(path) for path in paths}
        targets: dict[Path, list[Path]] = {}
        for path in paths:
            target = self._target(path)
            if os.path.realpath(target) in images:
                raise ValueError(f"the picture of {path} would take the place of {target}: choose another folder")
            targets.setdefault(target.parent, []).append(target)
        moved = [aside for parent, files in targets.items() if (aside := move_aside(files, parent))]
        if moved:
            more = f" and {len(moved) - 1} more folders" if len(moved) > 1 else ""
            print(f"pictures of an earlier run are in {printable(moved[0])}{more} now", file=sys.stderr, flush=True)

    def _target(self, path: Path) -> Path:
        """Return the picture's file; the image's suffix stays, as a.jpg and a.png are two images."""
        return self._folder / f"{os.path.relpath(os.path.abspath(path), self._base)}.png"


def _open(path: Path) -> Image.Image:
    """Return an image as the network sees it, whatever its EXIF data say of its orientation; a large one smaller."""
    image = decoded_image(read_regular(path))
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    return image


def _draw_heat(panel: Any, heat: np.ndarray, size: tuple[int, int], seen_share: float) -> None:
    """Lay the heat map over the central square, its largest value as the hottest colour."""
    width, height = size
    half = min(size) * seen_share / 2
    extent = (width / 2 - half - 0.5, width / 2 + half - 0.5, height / 2 + half - 0.5, height / 2 - half - 0.5)
    scaled = heat / max(float(heat.max()), np.finfo(np.float32).tiny)
    panel.imshow(scaled, cmap="inferno", vmin=0, vmax=1, alpha=0.6, extent=extent, interpolation="bilinear")
    panel.set_xlim(-0.5, width - 0.5)
    panel.set_ylim(height - 0.5, -0.5)


def _draw_bars(panel: Any, names: Sequence[str], probabilities: np.ndarray) -> None:
    """Draw a bar for each class, the best one on top."""
    places = range(len(names))
    panel.barh(places, 100 * probabilities, color="#0072B2")
    panel.set_yticks(places, names, fontsize=9, parse_math=False)
    panel.set_ylim(BARS - 0.5, -0.5)
    panel.set_xlim(0, 118)  # room for the number behind a full bar
    panel.set_xticks([0, 50, 100])
    panel.set_xlabel("probability, %")
    panel.spines[["top", "right"]].set_visible(False)
    for place, probability in zip(places, probabilities, strict=True):
        panel.text(100 * probability + 2, place, f"{100 * probability:.1f}", va="center", fontsize=9)
