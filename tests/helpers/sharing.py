"""What is made once for all processes that share a run of the tests."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from src.common.files import atomic_write

Made = TypeVar("Made")


def base_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder of the run, which a process of pytest-xdist has its own folder in."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(base: Path, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what `make` gives for the folder of this name, which it fills; all but the first process take that.

    The others wait meanwhile. What a process left that failed or was killed is made anew, so it is whole or not at all.

    Args:
        base: The temporary folder of the run.
        name: The name of the new folder in it.
        make: Makes everything in the folder that it gets; what it returns can be pickled.
    """
    folder, result = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            atomic_write(result, pickle.dumps(make(folder)))
        return pickle.loads(result.read_bytes())
