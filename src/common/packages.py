"""What a person should do where a package is not installed: most often the environment is not active."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_AT_ONCE = ("numpy", "yaml", "PIL")  # what the commands import as they start
REQUIRED = (*_AT_ONCE, "mindspore")  # the modules of requirements.txt


def check_packages() -> None:
    """End a command that has just begun, with a line in the place of a traceback, where such a module is missing.

    Raises:
        SystemExit: In that case, with status 1.
    """
    for name in _AT_ONCE:
        if find_spec(name) is None:
            sys.exit(f"error: {missing(name)}")


def missing(name: str) -> str:
    """Return what is wrong and what to do where a module of REQUIRED cannot be imported, as a line without its end."""
    return (
        f"{sys.executable} has no module {name}: activate the environment in this terminal "
        "(source .venv/bin/activate), or pip install -r requirements.txt"
    )
