"""Class names: files of them, one a line, when two are one name, and in which class two lists differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from src.common.files import printable

_SHOWN = 60


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


def check_name(name: str, place: str) -> None:
    """Raise ValueError if a name cannot be that of a class: they are lines of UTF-8 files.

    Args:
        name: The name.
        place: What has it, for the message.
    """
    problem = "a line break" if name.splitlines() not in ([name], []) else ""
    try:
        name.encode()
    except UnicodeEncodeError:
        problem = "bytes that are no UTF-8"
    if problem:
        raise ValueError(
            f"the class name of {printable(place)} holds {problem}, and class names are lines of UTF-8 text: rename it"
        )


def same_name(name: str) -> str:
    """Return the form in which names are compared: Unicode writes "é" as one character, or as two."""
    return unicodedata.normalize("NFC", name)


def describe_difference(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Tell the first class in which two lists differ, "" if they are equal in whatever form Unicode writes them.

    Args:
        theirs: Name of each class there.
        ours: Name of each class here.
    """
    for label, pair in enumerate(zip_longest(theirs, ours)):
        there, here = (None if name is None else same_name(name) for name in pair)
        if there != here:
            return f"class {label} is {_shown(there)} there and {_shown(here)} here"
    return ""


def _shown(name: str | None) -> str:
    return "missing" if name is None else f"{name!r:.{_SHOWN}}"
