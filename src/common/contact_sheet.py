"""A contact sheet: images side by side, each with a caption below it, drawn by Pillow; no matplotlib is needed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from src.common.plotting import drawable, font_file, has_matplotlib

_COLUMNS = 8
_LEAST_SIDE = 140  # pixels; smaller images are enlarged by a whole number, so that captions fit and pixels stay pixels
_GAP, _FONT_SIZE, _LINE = 8, 13, 17  # pixels
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_NO_CHARACTER = "\U0010ffff"  # what a font draws for this, it draws for every character that it lacks


def contact_sheet(images: np.ndarray, captions: Sequence[Sequence[str]]) -> bytes:
    """Draw images with their captions.

    Args:
        images: Uint8 (N, H, W, 3), RGB, one or more.
        captions: The lines below each image; what is too long for its width is cut.

    Returns:
        The content of a PNG file.
    """
    count, height, width, _ = images.shape
    factor = max(1, -(-_LEAST_SIDE // width))
    columns = min(count, _COLUMNS)
    font = _font()
    cell = width * factor + _GAP, height * factor + _GAP + _LINE * max(map(len, captions))
    sheet = Image.new("RGB", (cell[0] * columns + _GAP, cell[1] * -(-count // columns) + _GAP), _WHITE)
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, lines) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = _GAP + column * cell[0], _GAP + row * cell[1]
        sheet.paste(
            Image.fromarray(pixels).resize((width * factor, height * factor), Image.Resampling.NEAREST), (left, top)
        )
        for place, line in enumerate(lines):
            text = _fitting(line, font, width * factor)
            draw.text((left, top + height * factor + place * _LINE), text, _BLACK, font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return matplotlib's font where there is one, which has more characters than Pillow's own."""
    return ImageFont.truetype(font_file(), _FONT_SIZE) if has_matplotlib() else ImageFont.load_default(_FONT_SIZE)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a text that the font can draw, cut to a width in pixels."""
    lacking = bytes(font.getmask(_NO_CHARACTER))
    text = drawable(text, lambda letter: letter == " " or bytes(font.getmask(letter)) != lacking)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
