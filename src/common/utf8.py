"""Names of files and classes are UTF-8 here, whatever the locale says."""

from __future__ import annotations

import contextlib
import os
import sys


def use_utf8() -> None:
    """Start the process anew in Python's UTF-8 mode where the locale has another encoding, and say so.

    MindSpore, the checkpoints and the text files of this project know names as UTF-8 alone: read in another encoding,
    a folder would not be found, or its class get another name. Output stays in the encoding of the locale.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    note = f"note: the locale's encoding is {sys.getfilesystemencoding()}: names are read as UTF-8 all the same\n"
    with contextlib.suppress(OSError):
        os.write(2, note.encode())
    os.environ.setdefault("PYTHONIOENCODING", f"{encoding}:backslashreplace")
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
