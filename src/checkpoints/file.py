"""Checkpoint files: written whole, and read with a checksum."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor

from src.checkpoints.contents import unpack
from src.common.files import naming, replace_file, temporary_path
from src.common.mindspore_log import silenced_logging

# Only this project writes them, before all else: a file that has one but no checksum has lost its end.
FIRST_OF_TRAINING = "steps_per_epoch"
METADATA = "metadata"  # what the weights mean
_FIRST = (FIRST_OF_TRAINING, METADATA)


class DamagedCheckpoint(ValueError):
    """A checkpoint file that cannot be read, as opposed to one that does not fit."""


def write_checkpoint(path: Path, parameters: Iterable[Parameter], first: Mapping[str, int | float | str]) -> None:
    """Write a checkpoint with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        parameters: What it holds, by the parameters' names.
        first: Numbers and words that it holds too, by name; they stand first, so that a file that was cut still tells.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    # A folder of its own takes whatever files MindSpore makes on its way.
    temporary = temporary_path(path)
    temporary.mkdir(parents=True)
    try:
        with naming(path):
            _save(first, parameters, temporary / "new.ckpt")
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
    try:
        entries, has_checksum = unpack(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"the file is damaged: {error}"
        raise DamagedCheckpoint(f"cannot read checkpoint {path}: {reason}; use another one") from error
    if not has_checksum and (whole or any(name in entries for name in _FIRST)):
        raise DamagedCheckpoint(f"checkpoint {path} has no checksum at its end: it is cut, or another program's")
    return {
        name: value if isinstance(value, str) else Parameter(Tensor(value), name=name)
        for name, value in entries.items()
    }


def _save(first: Mapping[str, int | float | str], parameters: Iterable[Parameter], path: Path) -> None:
    entries = {
        **{name: value if isinstance(value, str) else Parameter(Tensor(value), name) for name, value in first.items()},
        **{parameter.name: parameter for parameter in parameters},
    }
    try:
        with silenced_logging():
            ms.save_checkpoint(entries, str(path), crc_check=True)
        path.chmod(0o644)
    except OSError:
        raise
    except RuntimeError as error:
        # MindSpore wraps what the system said.
        cause = error.__cause__ or error.__context__
        raise cause if isinstance(cause, OSError) else OSError(f"cannot write {path}: {error}") from error
