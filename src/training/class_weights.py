"""Weights of the classes in the loss, for classes that have few images or matter more: --class_weights."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.common.files import from_cell, printable
from src.data.usable_images import UsableImages
from src.metadata.class_list import same_name
from src.model_utils.config import Config, ConfigError

NONE, BALANCED = "none", "balanced"
_HEADER = ["class", "weight"]


def class_weights(config: Config, images: UsableImages) -> tuple[float, ...] | None:
    """Return the weight of each class; None where all have the same.

    Args:
        config: With `class_weights`: none; balanced, which is images / (classes * images of the class), so that the
            mean over all images is 1; or a CSV file of lines class,weight.
        images: The training images.

    Raises:
        ConfigError: If the file cannot be read, or does not give each class one weight.
    """
    if config.class_weights in ("", NONE):
        return None
    if config.class_weights == BALANCED:
        counts = np.array(list(images.source.counts(images.excluded).values()))
        return tuple((counts.sum() / (len(counts) * counts)).tolist())
    return tuple(_read(config.class_weights, images.class_names))


def describe_weights(config: Config) -> str:
    """Return what the weights follow from, the same for the same option and file: none, balanced, or name and CRC."""
    if config.class_weights in ("", NONE, BALANCED):
        return config.class_weights or NONE
    return f"{Path(config.class_weights).name} ({zlib.crc32(_content(config.class_weights)):08x})"


def describe_extremes(weights: Sequence[float], names: Sequence[str]) -> str:
    """Return the least and the largest weight with their classes, for a line."""
    least, most = int(np.argmin(weights)), int(np.argmax(weights))
    return printable(f"class weights from {weights[least]:.4g} ({names[least]}) to {weights[most]:.4g} ({names[most]})")


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read class_weights {path}: {error.strerror}; give none, balanced, or a CSV file of class,weight"
        ) from error


def _read(path: str, names: Sequence[str]) -> list[float]:
    """Return the weight of each class from a file that names all of them."""
    places = {same_name(name): label for label, name in enumerate(names)}
    found: dict[int, float] = {}
    try:
        rows = csv.reader(io.StringIO(_content(path).decode("utf-8-sig"), newline=""), strict=True)
        for row in rows:
            fields = [from_cell(field.strip()) for field in row]
            if fields in ([], [""]) or (rows.line_num == 1 and [field.lower() for field in fields] == _HEADER):
                continue
            where = f"class_weights {path}, line {rows.line_num}"
            label = places.get(same_name(fields[0]))
            weight = _weight(fields[1]) if len(fields) == 2 else None
            if weight is None:
                raise ConfigError(
                    f"{where}: expected 'class,weight' with a weight of 0 or more, got {','.join(row)!r:.80}"
                )
            if label is None:
                raise ConfigError(f"{where}: the training images have no class {printable(fields[0])}")
            if label in found:
                raise ConfigError(f"{where}: class {printable(fields[0])} has a weight already")
            found[label] = weight
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"class_weights {path} is no CSV file in UTF-8: {error}") from error
    missing = [name for label, name in enumerate(names) if label not in found]
    if missing:
        raise ConfigError(
            f"class_weights {path} has no weight for {len(missing)} of {len(names)} classes, such as "
            f"{printable(missing[0])}"
        )
    if not any(found.values()):
        raise ConfigError(f"class_weights {path} gives every class the weight 0")
    return [found[label] for label in range(len(names))]


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if math.isfinite(weight) and weight >= 0 else None
