"""What is known of weights that say nothing themselves, from the files that training writes beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.metadata.class_list import read_class_list
from src.metadata.json_beside import json_path, read_json_beside
from src.metadata.metadata import AMP_LEVELS, Metadata
from src.model_utils.config import DEFAULT_FILE
from src.model_utils.config_file import read_documents
from src.model_utils.config_values import check

CONFIG = "config.yaml"
CLASS_NAMES = "class_names.txt"  # a name a line

_READ = ("image_size", "crop_pct", "interpolation")
_LEVELS = {"config_ascend": "O3", "config_gpu": "O2", "config_cpu": "O0"}  # what amp_level: auto stood for


def find_beside(weights: Path) -> tuple[Metadata, list[Path]]:
    """Return what files beside weights tell of them, and which files these are.

    Args:
        weights: The file of the weights; a link is followed to the real one, which the files lie beside.

    Raises:
        ValueError: If such a file is damaged or belongs to other weights; the message names it.
        OSError: If it cannot be read.
    """
    described = read_json_beside(weights)
    if described:
        return described, [json_path(weights)]
    folder = weights.resolve().parent
    files = [path for path in (folder / CONFIG, folder / CLASS_NAMES) if path.is_file()]
    names = tuple(read_class_list(folder / CLASS_NAMES)) if folder / CLASS_NAMES in files else ()
    settings = _read_settings(folder / CONFIG) if folder / CONFIG in files else {}
    return Metadata(class_names=names, **settings), files


def _read_settings(path: Path) -> dict[str, Any]:
    """Return what the configuration of a training tells of its weights, by the names of the metadata."""
    found = read_documents(path)[0]
    allowed = read_documents(DEFAULT_FILE)[2]
    settings: dict[str, Any] = {
        key: check(found[key], allowed[key], f"{path}: key {key}") for key in _READ if key in found
    }
    level = found.get("amp_level", "auto")
    if level == "auto":
        section = next((name for name in _LEVELS if name in found), "")
        level = "O0" if found.get("is_fp32") is True else _LEVELS.get(section)
    return {**settings, "amp_level": level} if level in AMP_LEVELS else settings
