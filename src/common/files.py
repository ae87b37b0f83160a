"""Files: written so that a crash, a full disk or a kill never leaves half of one; listed, printed and moved aside."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import itertools
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

# Network and FUSE file systems answer so when a folder cannot be flushed; the rename itself has happened by then.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a whole file or leave the old one as it was.

    Args:
        path: The file; missing parent folders are created. A symbolic link is replaced, not followed.
        data: Its content; text is written as UTF-8, line ends as they are.

    Raises:
        OSError: If the file cannot be written or replaced; the temporary file is removed.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(final)
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        replace_file(temporary, final)
    except BaseException:
        # The error being raised matters more than one of the clean-up.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def to_csv(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of values as the text of a CSV file with Unix line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path for a line of output: a file name need not be valid UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def visible(text: str) -> str:
    """Return text for a line of output, with line ends, escape sequences and other invisible characters told."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def to_list(paths: Iterable[str | os.PathLike[str]]) -> bytes:
    """Return the content of a file that lists paths, one a line, each byte as it is in the name."""
    return b"".join(os.fsencode(path) + b"\n" for path in paths)


def temporary_path(final: Path) -> Path:
    """Return a hidden name beside a file that no other writer, process or host uses.

    Args:
        final: The file that is going to be written.

    Returns:
        `.<name>.<32 hexadecimal digits>.tmp` in the same folder.
    """
    return final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")


def is_temporary(path: Path) -> bool:
    """Tell whether a file or folder has a name of `temporary_path`; only its writer, killed or at work, made it."""
    return re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", path.name, re.DOTALL) is not None


def remove_temporary(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes have left in a folder, if they can be removed.

    Args:
        folder: A folder that no other process is writing to.
    """
    for path in folder.iterdir():
        if is_temporary(path):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_file(temporary: str | os.PathLike[str], final: str | os.PathLike[str]) -> None:
    """Put a completely written temporary file in the place of the final one, durably.

    Args:
        temporary: The closed temporary file, on the same file system as the final one.
        final: The name that it gets; an existing file is replaced in one step.

    Raises:
        OSError: If it cannot be flushed or renamed; the temporary file is left to the caller.
    """
    # Flushed before the rename: else a power cut could leave the new name with the content still missing.
    _sync(temporary, os.O_RDWR)
    os.replace(temporary, final)
    try:
        _sync(Path(final).parent, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def check_free_space(folder: Path, needed: int) -> None:
    """Raise if a disk is too small.

    Args:
        folder: A folder on the disk, which may still be missing.
        needed: Bytes that are going to be written.

    Raises:
        OSError: If fewer bytes are free.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OSError(
            f"{folder} needs {needed / 1e6:.1f} MB, but {place} has {free / 1e6:.1f} MB left; make room or choose "
            f"another disk"
        )


def move_aside(paths: Sequence[Path], folder: Path, copied: Sequence[Path] = ()) -> Path | None:
    """Move the files of an earlier run out of the way of a new one.

    Args:
        paths: Files with different names; those that do not exist are passed over.
        folder: Where the sub-folder `earlier-<n>` is made, with the first free n from 1.
        copied: Files that stay and whose copies go with the others, before these; likewise.

    Returns:
        The new sub-folder, or None when there was nothing to move.

    Raises:
        ValueError: If two of the files have the same name; nothing is moved.
        OSError: If one cannot be moved.
    """
    existing = [path for path in dict.fromkeys(paths) if os.path.lexists(path)]
    copied = [path for path in copied if path.exists()]
    if not (existing or copied):
        return None
    names = [path.name for path in (*existing, *copied)]
    if len(set(names)) < len(names):
        raise ValueError(f"cannot move files of the same name into one folder: {', '.join(map(str, existing))}")
    target = _make_numbered_folder(folder)
    for path in copied:
        shutil.copy2(path, target / path.name)
    for path in existing:
        shutil.move(path, target / path.name)
    return target


def _make_numbered_folder(folder: Path) -> Path:
    """Create and return the first free `earlier-<n>`."""
    for number in itertools.count(1):
        target = folder / f"earlier-{number}"
        # Creating is the test: two processes never get the same folder.
        with contextlib.suppress(FileExistsError):
            target.mkdir(parents=True)
            return target
    raise AssertionError("unreachable")


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
