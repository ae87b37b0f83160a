"""Files: written so that a crash, a full disk or a kill never leaves half of one; listed, printed and moved aside."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from src.common.resources import existing_place, free_space

# Network and FUSE file systems answer so when a folder cannot be flushed; the rename itself has happened by then.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}


# Control characters, and those that break a line or turn the direction of writing.
CONTROLS = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_UNPRINTABLE = re.compile(f"{CONTROLS}|[\ud800-\udfff]")
# The last four are the wide forms of = + - @, which some spreadsheets take for the same.
_FORMULA = re.compile("'*(?:[\t\r\n]|[ \t\n\v\f\r]*[=+\\-@\uff1d\uff0b\uff0d\uff20])")


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
        with naming(final):
            temporary.write_bytes(data.encode() if isinstance(data, str) else data)
            replace_file(temporary, final)
    except BaseException:
        # The error being raised matters more than one of the clean-up.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def naming(final: str | os.PathLike[str]) -> Iterator[None]:
    """Have an error of the system name the file that a block writes, in the place of none or of a temporary one."""
    try:
        yield
    except OSError as error:
        name = error.filename
        if error.errno and (name is None or any(map(is_temporary, (Path(name), *Path(name).parents)))):
            raise OSError(error.errno, error.strerror, os.fspath(final)) from error
        raise


def to_csv(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of values as the text of a CSV file with Unix line ends, texts as `to_cell` gives them."""
    return "".join(",".join(map(_field, row)) + "\n" for row in rows)


def _field(value: object) -> str:
    text = to_cell(value) if isinstance(value, str) else "" if value is None else str(value)
    # As RFC 4180 says; Python's csv leaves a lone carriage return bare, which ends the line for its own reader.
    return '"' + text.replace('"', '""') + '"' if re.search('[,"\r\n]', text) else text


def to_cell(text: str) -> str:
    """Return a text for a cell of a CSV file: with an apostrophe before it if a spreadsheet would run it as a formula.

    That is what begins with = + - @, a tabulator or a line break, after any blanks. What begins so after apostrophes
    gets one more, so that `from_cell` gives every text back. ascend310_infer does the same.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path or a name for a line of output.

    It need not be valid UTF-8, and may hold line breaks or characters that steer a terminal: those are written as
    `\\xff`, `\\n`, `\\x1b`.
    """
    return _UNPRINTABLE.sub(lambda found: escape(found[0]), os.fspath(path))


def escape(character: str) -> str:
    """Return a character as Python writes it in a text of ASCII, a byte that is no UTF-8 as that byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()


def user_path(text: str) -> Path:
    """Return the path that a person has given, as `expand_home` does."""
    return Path(expand_home(text))


def expand_home(text: str) -> str:
    """Return a path with the home folder for a `~` before its first slash; a shell leaves that of --option=~/x.

    Raises:
        ValueError: If there is no home folder.
    """
    if text != "~" and not text.startswith("~/"):
        return text
    expanded = os.path.expanduser(text)
    if not os.environ.get("HOME", "/").startswith("/") or not expanded.startswith("/"):
        raise ValueError(f"{text}: no home folder is known: set HOME to an absolute path, or write the path in full")
    return expanded


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
    with naming(final):
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, final)
    try:
        with naming(final):
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
    free = free_space(folder)
    if needed > free:
        raise OSError(
            f"{folder} needs {needed / 1e6:.1f} MB, but {existing_place(folder)} has {free / 1e6:.1f} MB left; make "
            f"room or choose another disk"
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
    try:
        for path in copied:
            shutil.copy2(path, target / path.name)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)  # half a copy of what has stayed where it was
        raise
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
