"""One page about an evaluation that needs nothing beside it: figures, curves, confusions, mistakes, every class."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2em; }
dl { display: flex; flex-wrap: wrap; gap: 1em 3em; } dt { color: #666; } dd { margin: 0; font-size: 1.6em; }
table { border-collapse: collapse; } th, td { padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; } thead th { position: sticky; top: 0; background: white; }
img { max-width: 100%; } figure { margin: 0; } .long { max-height: 40em; overflow: auto; }
"""


def build_page(title: str, figures: Mapping[str, str], sections: Iterable[tuple[str, str]]) -> str:
    """Put a page together.

    Args:
        title: Heading of the page, plain text.
        figures: What is shown large at its top, by label, plain text.
        sections: Heading, plain text, and content, HTML, of each part; those without content are left out.

    Returns:
        The page as HTML 5.
    """
    head = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in figures.items())
    body = "".join(f"<section><h2>{escape(name)}</h2>{content}</section>\n" for name, content in sections if content)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1><dl>{head}</dl>\n{body}</body></html>\n"
    )


def to_table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a table whose first row is the header, in a box that scrolls if it is long."""
    head = "".join(f"<th>{escape(str(value))}</th>" for value in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>\n" for row in rows[1:])
    return f'<div class="long"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def to_image(png: bytes, description: str) -> str:
    """Return a PNG file as an element that holds the picture itself."""
    data = base64.b64encode(png).decode()
    return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(description)}"></figure>'
