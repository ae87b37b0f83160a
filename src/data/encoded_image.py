"""An image of a data set as it is stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncodedImage:
    """An image of a data set as it is stored.

    Args:
        name: Its path in image folders, and <class>/<file name> in MindRecord files.
        content: The bytes of the image file.
    """

    name: str
    content: bytes
