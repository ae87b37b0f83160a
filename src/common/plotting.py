"""Drawing with matplotlib where it is installed."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

MISSING_MATPLOTLIB = "matplotlib is not installed: pip install -r requirements-plot.txt"


def has_matplotlib() -> bool:
    """Tell whether pictures can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def new_figure(width: float, height: float, layout: Literal["compressed", "constrained"]) -> Any:
    """Return a figure of its own, in inches, outside the global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Any) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def printable_names(names: Sequence[str]) -> list[str]:
    """Return class names that the font can draw, no longer than a label should be.

    A character that the font lacks becomes visible as an escape; `font.family` in a matplotlibrc chooses another font.
    """
    from matplotlib.font_manager import get_font

    drawn = get_font(font_file()).get_charmap()
    short = (name if len(name) <= 20 else f"{name[:17]}..." for name in names)
    return [drawable(name, lambda letter: ord(letter) in drawn) for name in short]


def font_file() -> str:
    """Return the file of matplotlib's font, which is installed with it."""
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties())


def drawable(text: str, has_glyph: Callable[[str], bool]) -> str:
    """Return a text whose letters without a glyph are visible as escapes."""
    return "".join(
        letter if letter.isprintable() and has_glyph(letter) else letter.encode("unicode_escape").decode()
        for letter in text
    )
