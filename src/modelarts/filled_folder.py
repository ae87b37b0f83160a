"""Folders that are filled beside their place and then appear in it whole, with a mark that says from what."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.common.files import atomic_write, temporary_path

MARK = ".complete.json"


def is_complete(folder: Path, source: str) -> bool:
    """Tell whether a folder was filled completely from a source.

    Args:
        folder: The folder.
        source: What it should have been filled from, as given to filled_folder.

    Returns:
        True if it was; False if it is missing or empty, and so can be filled.

    Raises:
        ValueError: If it holds anything else.
    """
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, LookupError, TypeError):
        found = None
    if found == source:
        return True
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return False
    what = f"the content of {found}" if found else "files that were not copied there"
    raise ValueError(f"{folder} holds {what}, so {source} cannot go there: empty it or choose another folder")


@contextmanager
def filled_folder(folder: Path, source: str, owner: str) -> Iterator[Path]:
    """Fill a folder completely or leave it as it was, also when the process is killed.

    Args:
        folder: The folder; must be missing or empty.
        source: What it is filled from; is_complete asks for it.
        owner: Name of the job that fills it, fit for a file name: what killed processes of this job have left half
            filled is removed, so only one process of a job may fill the folder at a time.

    Returns:
        A context that gives the temporary folder to fill, on the same file system.

    Raises:
        OSError: If a folder cannot be made or renamed.
    """
    name = f"{folder.name}.{owner}"
    for left in folder.parent.glob(f".{glob.escape(name)}.*.tmp"):
        shutil.rmtree(left)
    temporary = temporary_path(folder.with_name(name))
    temporary.mkdir(parents=True)
    try:
        yield temporary
        # The mark travels with the folder: both appear in one step.
        atomic_write(temporary / MARK, json.dumps({"source": source}, ensure_ascii=False))
        os.rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
