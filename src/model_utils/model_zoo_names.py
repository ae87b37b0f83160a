"""Keys and options of the model zoo's Xception that have another name here, or are none."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.model_utils.config_values import ConfigError

NEW_NAMES = {"class_num": "num_classes"}

# What to do about names that the releases of the model zoo had, and that are no key.
INSTEAD = {
    "dataset_path": "train_data_dir names the images of a training, test_data_dir those of an evaluation",
    "filter_weight": "pretrained leaves the classifier out by itself where its classes are others",
    "weight_init": "the network begins with the model zoo's own, xavier_uniform, which is no setting",
}


def rename_options(argv: Sequence[str]) -> list[str]:
    """Return a command line with the names of this project, and say on stderr which have changed.

    Args:
        argv: The arguments without the program's name.

    Raises:
        ConfigError: If an option is there under both names.
    """
    given = {word.partition("=")[0] for word in argv}
    for old, new in NEW_NAMES.items():
        if f"--{old}" in given:
            if f"--{new}" in given:
                raise ConfigError(f"options --{old} and --{new} are the same: give one of them")
            _say(f"option --{old} of the model zoo is --{new} here")
    return [_renamed(word) for word in argv]


def rename_places(found: Mapping[Any, Any], path: Path) -> dict[Any, Any]:
    """Return the values of a file by place with the names of this project, and say on stderr which have changed.

    Args:
        found: Values by (section, key).
        path: The file, for messages.

    Raises:
        ConfigError: If a section has a key under both names.
    """
    for old, new in NEW_NAMES.items():
        sections = [section for section, key in found if key == old]
        for section in sections:
            if (section, new) in found:
                where = f"in {section}" if section else "at the top level"
                raise ConfigError(f"{path}: keys {old} and {new} {where} are the same: keep one of them")
        if sections:
            _say(f"{path}: key {old} of the model zoo is {new} here")
    return {(section, NEW_NAMES.get(key, key)): value for (section, key), value in found.items()}


def _renamed(word: str) -> str:
    name, equals, value = word.partition("=")
    new = NEW_NAMES.get(name[2:]) if name.startswith("--") else None
    return f"--{new}{equals}{value}" if new else word


def _say(note: str) -> None:
    print(note, file=sys.stderr, flush=True)
