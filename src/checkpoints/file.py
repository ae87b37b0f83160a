"""Checkpoint files: written whole, and read with a checksum."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Parameter

from src.common.files import replace_file, temporary_path
from src.common.mindspore_log import silenced_logging

_CHECKSUM, _CHECKSUM_BYTES = b"crc_num", 17  # what save_checkpoint(crc_check=True) ends a file with


class DamagedCheckpoint(ValueError):
    """A checkpoint file that cannot be read, as opposed to one that does not fit."""


def write_checkpoint(path: Path, parameters: Iterable[Parameter], appended: Mapping[str, int | float | str]) -> None:
    """Write a checkpoint with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        parameters: What it holds, by the parameters' names.
        appended: Numbers and words that it holds too, by name.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    # A folder of its own takes whatever files MindSpore makes on its way.
    temporary = temporary_path(path)
    temporary.mkdir(parents=True)
    try:
        _save(parameters, temporary / "new.ckpt", appended)
        replace_file(temporary / "new.ckpt", path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_checkpoint(path: Path, whole: bool = False) -> dict[str, Any]:
    """Read a checkpoint into memory.

    Args:
        path: The file; a checksum that it has is checked.
        whole: Whether it must have one, which a file that was cut lacks.

    Returns:
        Its parameters, and text as str, by name.

    Raises:
        DamagedCheckpoint: If it is damaged.
        ValueError: If it is missing, or not named like a checkpoint.
    """
    if not path.is_file():
        raise ValueError(f"no checkpoint file {path}: check the path")
    if path.suffix != ".ckpt":
        raise ValueError(f"{path} is not named like a checkpoint: MindSpore reads only files that end in .ckpt")
    if whole and not _has_checksum(path):
        raise DamagedCheckpoint(f"checkpoint {path} has no checksum at its end: it is cut, or another program's")
    try:
        with silenced_logging():
            return ms.load_checkpoint(str(path), crc_check=True)
    except MemoryError:
        raise
    except Exception as error:  # MindSpore raises errors of many types for a damaged file
        raise DamagedCheckpoint(
            f"cannot read checkpoint {path}: the file is damaged, unreadable or no checkpoint; use another one"
        ) from error


def _save(parameters: Iterable[Parameter], path: Path, appended: Mapping[str, int | float | str]) -> None:
    entries = [{"name": parameter.name, "data": parameter} for parameter in parameters]
    try:
        with silenced_logging():
            ms.save_checkpoint(entries, str(path), append_dict=dict(appended), crc_check=True)
        path.chmod(0o644)
    except OSError:
        raise
    except RuntimeError as error:
        # MindSpore wraps what the system said.
        cause = error.__cause__ or error.__context__
        raise cause if isinstance(cause, OSError) else OSError(f"cannot write {path}: {error}") from error


def _has_checksum(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _CHECKSUM_BYTES, 0))
        return stream.read().startswith(_CHECKSUM)
