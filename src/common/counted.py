"""Counted things in messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, as "1 image" or "1,438 images".

    Args:
        number: How many, 0 or more.
        noun: The noun in the singular.
        plural: Its plural; the noun with an s by default.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
