"""What the system says against a file, in a line for a person."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path


def describe(error: OSError) -> str:
    """Return what the system says, with the files that it names, and the space that is left where that is too little.

    Args:
        error: Of a call of the system, or raised with a text of its own.
    """
    if not error.strerror:
        return str(error)
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    message = ": ".join([error.strerror, *names])
    if error.errno != errno.ENOSPC or not names:
        return message
    try:
        folder = next(path for path in Path(names[-1]).absolute().parents if path.exists())
        return f"{message}: {shutil.disk_usage(folder).free / 1e6:.1f} MB are left there; make room and run it again"
    except OSError:
        return message
