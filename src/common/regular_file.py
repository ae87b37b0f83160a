"""Reading a file that must be a regular one: a pipe would be waited for without end, a device may never end."""

from __future__ import annotations

import os
import stat

NOT_REGULAR = "not a regular file"


def read_regular(path: str | os.PathLike[str], offset: int = 0, size: int = -1) -> bytes:
    """Return the content of a regular file, or of one that a link leads to.

    Args:
        path: The file.
        offset: Where to begin, in bytes.
        size: How much to read at most, in bytes; -1 reads to the end.

    Raises:
        ValueError: If it is a folder, a pipe, a device or a socket.
        OSError: If it cannot be read.
    """
    # A pipe that nothing writes to opens at once like this.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(NOT_REGULAR)
    with open(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(size)
