"""What has become of data that could not be read: a damaged file is mended, one that has gone is waited for."""

from __future__ import annotations

import os
from collections.abc import Iterable

_ADVICE = "once it is back, the same command goes on, a training with --resume=auto"


def describe_loss(file: str, folder: str, all_files: Iterable[str]) -> str | None:
    """Tell in what way a file that could not be opened is out of reach.

    Args:
        file: The file, which was there before.
        folder: The folder of the data set.
        all_files: Files or folders of the data set, any of which tells that its disk is there.

    Returns:
        The way, and what to do; None for a file that is there and cannot be opened.
    """
    if not any(map(os.path.lexists, all_files)):
        return f"all of {folder} has gone, as if its disk had been unmounted or its network cut: {_ADVICE}"
    if not os.path.lexists(file):
        return f"it has been removed or renamed: {_ADVICE}"
    try:
        with open(file, "rb") as stream:
            stream.read(1)
    except OSError:
        return None
    return f"it could not be opened, but can be now, as if its disk had been away for a moment: {_ADVICE}"
