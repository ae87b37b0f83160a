"""What is known of weights that say nothing themselves, from the files that training writes beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from src.metadata.class_list import read_class_list
from src.metadata.json_beside import json_path, read_json_beside
from src.metadata.metadata import AMP_LEVELS, Metadata
from src.model_utils.config import DEFAULT_FILE
from src.model_utils.config_file import read_documents
from src.model_utils.config_values import check

CONFIG = "config.yaml"
CLASS_NAMES = "class_names.txt"  # a name a line

SETTINGS = ("image_size", "crop_pct", "interpolation")  # of the metadata and the configuration, by the same names
_LEVELS = {"config_ascend": "O3", "config_gpu": "O2", "config_cpu": "O0"}  # what amp_level: auto stood for


class Found(NamedTuple):
    """What is beside weights.

    Args:
        metadata: What it tells of them.
        files: Which files these are.
        num_classes: Number of classes of the training whose configuration is there; None where there is none.
    """

    metadata: Metadata
    files: list[Path]
    num_classes: int | None = None


def find_beside(weights: Path) -> Found:
    """Return what files beside weights tell of them.

    Args:
        weights: The file of the weights; a link is followed to the real one, which the files lie beside.

    Raises:
        ValueError: If such a file is damaged or belongs to other weights; the message names it.
        OSError: If it cannot be read.
    """
    described = read_json_beside(weights)
    if described:
        return Found(described, [json_path(weights)])
    folder = weights.resolve().parent
    files = [path for path in (folder / CONFIG, folder / CLASS_NAMES) if path.is_file()]
    names = tuple(read_class_list(folder / CLASS_NAMES)) if folder / CLASS_NAMES in files else ()
    document = read_documents(folder / CONFIG)[0] if folder / CONFIG in files else {}
    settings = _read_settings(folder / CONFIG, document)
    return Found(Metadata(class_names=names, **settings), files, _read_num_classes(document))


def _read_num_classes(found: dict[Any, Any]) -> int | None:
    """Return the number of classes of a training, where its configuration has the section of one device."""
    sections = [section for name in _LEVELS if isinstance(section := found.get(name), dict)]
    number = sections[0].get("num_classes") if len(sections) == 1 else None
    return number if isinstance(number, int) else None


def _read_settings(path: Path, found: dict[Any, Any]) -> dict[str, Any]:
    """Return what the configuration of a training tells of its weights, by the names of the metadata."""
    allowed = read_documents(DEFAULT_FILE)[2]
    settings: dict[str, Any] = {
        key: check(found[key], allowed[key], f"{path}: key {key}") for key in SETTINGS if key in found
    }
    level = found.get("amp_level", "auto")
    if level == "auto":
        section = next((name for name in _LEVELS if name in found), "")
        level = "O0" if found.get("is_fp32") is True else _LEVELS.get(section)
    return {**settings, "amp_level": level} if level in AMP_LEVELS else settings
