"""Files of class names, one a line."""

from __future__ import annotations

from pathlib import Path


def read_class_list(path: Path) -> list[str]:
    """Read a file of class names.

    Args:
        path: UTF-8 text with a name a line, in the order of the classes, with or without a byte-order mark and blank
            lines at the end.

    Raises:
        ValueError: If it is no UTF-8 text.
        OSError: If it cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: class names stand in a text file, one a line") from error
    return [line.rstrip("\r") for line in text.rstrip("\r\n").split("\n")]
