"""Folders that are filled beside their place and then appear in it whole, with a mark that says from what."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.common.files import atomic_write, is_temporary, temporary_path

MARK = ".complete.json"


def is_complete(folder: Path, source: str) -> bool:
    """Tell whether a folder was filled completely from a source.

    Args:
        folder: The folder.
        source: What it should have been filled from, as given to filled_folder; a slash at its end changes nothing.

    Returns:
        True if it was; False if it is missing or empty, and so can be filled.

    Raises:
        ValueError: If it holds anything else.
    """
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, LookupError, TypeError):
        found = None
    if isinstance(found, str) and found.rstrip("/") == source.rstrip("/"):
        return True
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return False
    what = f"the content of {found}" if found else "files that were not copied there"
    raise ValueError(f"{folder} holds {what}, so {source} cannot go there: empty it or choose another folder")


@contextmanager
def filled_folder(folder: Path, source: str, owner: str) -> Iterator[Path]:
    """Fill a folder completely or leave it as it was, also when the process is killed.

    What killed processes have left half filled is removed first, and so it is when another process has filled the
    folder from the same source meanwhile.

    Args:
        folder: The folder; must be missing or empty.
        source: What it is filled from; is_complete asks for it.
        owner: Name of the job that fills it, fit for a file name; only one process of a job may fill it at a time.

    Returns:
        A context that gives the temporary folder to fill, on the same file system.

    Raises:
        ValueError: If the folder has got another content meanwhile.
        OSError: If a folder cannot be made or renamed.
    """
    own = f"{folder.name}.{owner}"
    _remove_left(folder, own)
    temporary = temporary_path(folder.with_name(own))
    temporary.mkdir(parents=True)
    try:
        with _lock(temporary):
            yield temporary
            # The mark travels with the folder: both appear in one step.
            atomic_write(temporary / MARK, json.dumps({"source": source}, ensure_ascii=False))
            try:
                os.rename(temporary, folder)
            except OSError as error:
                # Jobs whose locks do not meet, such as those in two containers, may both have copied.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not is_complete(folder, source):
                    raise
                shutil.rmtree(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _remove_left(folder: Path, own: str) -> None:
    """Remove what killed processes of any job have left half filled, but not what one is at work on."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        if not is_temporary(left) or not left.is_dir():
            continue
        with contextlib.suppress(OSError), _lock(left) as is_locked:  # an error: another user's, or gone by now
            # Without such locks only the own job's are known to be left.
            if is_locked or left.name.startswith(f".{own}."):
                shutil.rmtree(left)


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Lock a temporary folder; tell whether its file system can.

    Raises:
        BlockingIOError: If another process has locked it.
    """
    import fcntl  # which Windows lacks, where the rest of the project runs

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
