"""Load a library of operators and use one of them, in this process, which that may end: `python trial.py LIBRARY`.

Takes nothing but Python itself, and so no time.
"""

from __future__ import annotations

import ctypes
import sys


def main(path: str) -> str:
    """Return what is wrong with the library, nothing if it does what it should."""
    text = ctypes.create_string_buffer(1000)
    try:
        failed = ctypes.CDLL(path).XceptionTry(text, ctypes.c_int64(len(text)))
    except (OSError, AttributeError) as error:
        return str(error)
    return (text.value.decode(errors="replace") or "an operator computes something else") if failed else ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
