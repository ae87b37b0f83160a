"""Reading a file that must be a regular one: a pipe would be waited for without end, a device may never end."""

from __future__ import annotations

import os
import stat

NOT_REGULAR = "not a regular file"
# A pipe that nothing writes to opens at once like this; Windows has the last one alone, and would change line ends.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


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
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(NOT_REGULAR)
    with open(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(size)
