"""A picture of many small pictures: the mistakes of an evaluation, with what each image was taken for."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from src.common.plotting import new_figure, printable_names, to_png
from src.evaluation.mistakes import Mistake

_COLUMNS = 6
_SIDE = 160  # pixels of a small picture


def draw_contact_sheet(mistakes: Sequence[Mistake], images: Sequence[bytes], class_names: Sequence[str]) -> bytes:
    """Draw the images of mistakes, each with its true class, what it was taken for and how surely.

    Args:
        mistakes: The mistakes, 1 or more.
        images: The image file of each mistake.
        class_names: Name of each class.

    Returns:
        A PNG file.
    """
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
    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # decodes a large JPEG at a fraction of its size
        return np.asarray(ImageOps.pad(image.convert("RGB"), (_SIDE, _SIDE), color="white"))
