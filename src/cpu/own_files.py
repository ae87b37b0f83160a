"""The folder of what is compiled once and used again, and its files, which nobody but their user may have written.

A library can make a process run whatever it likes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import time
from pathlib import Path

AUTO, NONE = "auto", "none"
_NAME = "mindspore-xception"
_DAY = 24 * 60 * 60
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_none(setting: str) -> bool:
    """Tell whether an option that names a folder means none: "none", or nothing."""
    return setting.strip() in ("", NONE)


def cache_folder(setting: str) -> Path | None:
    """Return the folder that an option names.

    Args:
        setting: A folder, "auto" for one in the user's cache folder, or "none" or nothing for none.

    Returns:
        The folder, which may be missing; None for none, also where a user has no home.
    """
    if is_none(setting):
        return None
    if setting != AUTO:
        return Path(setting).absolute()
    parent = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(parent):  # the standard has all others ignored
        return Path(parent) / _NAME
    home = _home()
    return home / ".cache" / _NAME if home else None


def open_own_folder(folder: Path) -> None:
    """Create a folder for its user alone, or make sure that no other user can write to an existing one.

    Args:
        folder: The folder; missing parents are created too.

    Raises:
        PermissionError: If it belongs to another user, or others can write to it.
        OSError: If it cannot be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == _user() and folder == cache_folder(AUTO):
        close_to_others(folder)  # a umask of 002 may have made it what follows complains of
        status = folder.stat()
    problem = _problem_of(status)
    if problem:
        raise PermissionError(errno.EPERM, problem, str(folder))


def read_own(path: Path) -> bytes | None:
    """Read a regular file that no other user can have written.

    Args:
        path: The file, not a link to one.

    Returns:
        Its content; None if it is missing.

    Raises:
        ValueError: If it is something else, belongs to another user, or others can write to it.
        OSError: If it cannot be read.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a file")
        # What has been put there since is neither followed nor waited for.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            problem = _problem_of(os.fstat(file.fileno()))
            if problem:
                raise ValueError(problem)
            return file.read()
    except FileNotFoundError:
        return None


def close_to_others(path: Path) -> None:
    """Take the right to write to a file or folder of this user's from all others, whatever the umask gave them."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _WRITABLE_BY_OTHERS:
        path.chmod(mode & ~_WRITABLE_BY_OTHERS)


def remove_left(folder: Path, name: str) -> None:
    """Remove what processes that were killed more than a day ago have left of their work; no other file or folder.

    Args:
        folder: Where they worked.
        name: Regular expression of the names of what they were to make.
    """
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process is removing it too
            if (
                re.fullmatch(rf"\.{name}\.[0-9a-f]{{32}}\.tmp", path.name)
                and time.time() - path.lstat().st_mtime > _DAY
            ):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _problem_of(status: os.stat_result) -> str:
    """Tell why another user may have written something; root may write everything anyway."""
    user = _user()
    if user is None:
        return ""
    if status.st_uid not in (0, user):
        return f"it belongs to user {status.st_uid}, not to user {user}, who runs this"
    if status.st_mode & _WRITABLE_BY_OTHERS:
        return "other users can write to it"
    return ""


def _user() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None  # Windows has other rights


def _home() -> Path | None:
    """Return the user's home, by the system's list of users where HOME does not tell."""
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home):
        try:
            import pwd

            home = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):  # Windows; a user whom the system does not know
            home = os.path.expanduser("~") if os.name == "nt" else ""
    return Path(home) if os.path.isabs(home) else None
