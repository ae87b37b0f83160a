"""What weights mean, as one value and as JSON text: classes, preprocessing, precision, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FORMAT = 1  # a higher number says that a reader of this one would go wrong; what is merely new needs none
POOL_PADDINGS = ("same", "symmetric")
INTERPOLATIONS = ("bilinear", "bicubic")
AMP_LEVELS = ("O0", "O2", "O3")
_MOST_PIXELS = 1 << 16


@dataclass(frozen=True)
class Provenance:
    """Where weights come from; what is not known is absent.

    Args:
        source: "training" for one of this project's, else the package that the weights were converted from.
        versions: Version of each program that made them, by name.
        recipe: Settings of the training by the names of the configuration.
        images: Number of training images.
        training_list: What the training images were: a digest of their names.
    """

    source: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    images: int | None = None
    training_list: str = ""


@dataclass(frozen=True)
class Metadata:
    """What weights mean; what is not known is absent: None, or empty.

    Args:
        class_names: The name of class 0, 1, ...
        image_size: Side of the square images of the training in pixels, 1 or more.
        crop_pct: Side of evaluation's centre crop as a share of the resized shorter side, above 0 to 1.
        interpolation: How evaluation resizes, a word of INTERPOLATIONS.
        mean: What is taken from the red, green and blue of a pixel, 0 to 255.
        std: What the rest is divided by, above 0.
        colour_order: Order of the channels.
        pool_padding: How max pooling pads, a word of POOL_PADDINGS.
        amp_level: Mixed precision of the training, a word of AMP_LEVELS.
        provenance: Where the weights come from.
    """

    class_names: tuple[str, ...] = ()
    image_size: int | None = None
    crop_pct: float | None = None
    interpolation: str | None = None
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    colour_order: str = "RGB"
    pool_padding: str = "same"
    amp_level: str | None = None
    provenance: Provenance = Provenance()

    def to_json(self) -> str:
        """Return the value as JSON text of one line, in ASCII; what is absent is left out."""
        found = {**asdict(self), "provenance": _known(asdict(self.provenance))}
        return json.dumps({"format": FORMAT, **_known(found)})


def parse_metadata(text: str, where: str) -> Metadata:
    """Return the value that JSON text holds.

    Args:
        text: What to_json returned; keys that are not known are passed over.
        where: The file, for the message.

    Raises:
        ValueError: If it is no such text, has a newer format, or tells of images that are normalised in another way
            than this project does.
    """
    try:
        found = json.loads(text)
        number = found["format"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"the metadata in {where} is damaged: it is no JSON with a format number") from error
    if not _is_whole(number) or number < 1:
        raise ValueError(f"the metadata in {where} is damaged: its format is {number!r:.40}")
    if number > FORMAT:
        raise ValueError(
            f"the metadata in {where} has format {number}, and this version reads up to {FORMAT}: use a newer version "
            "of this project"
        )
    found = {key: value for key, value in found.items() if value is not None}
    metadata = Metadata(**_checked(found, _CHECKS, where))
    provenance = Provenance(**_checked(found.get("provenance", {}), _PROVENANCE_CHECKS, where))
    _check_normalization(metadata, where)
    return Metadata(**{**_shallow(metadata), "provenance": provenance})


def _shallow(metadata: Metadata) -> dict[str, Any]:
    return {each.name: getattr(metadata, each.name) for each in fields(metadata)}


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value not in (None, "", (), {})}


def _check_normalization(metadata: Metadata, where: str) -> None:
    """Raise for images that no part of this project makes: conversion folds other values into the weights."""
    expected = Metadata()
    if (metadata.mean, metadata.std, metadata.colour_order) != (expected.mean, expected.std, expected.colour_order):
        raise ValueError(
            f"{where} takes {metadata.colour_order} images of mean {metadata.mean} and deviation {metadata.std}; here "
            f"they are RGB of mean and deviation 127.5: tools/convert_weights.py folds the difference into weights"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """Tell whether a value is text that every file and terminal can take: JSON may hold halves of characters."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(item) for pair in value.items() for item in pair)


def _is_recipe(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_text(key) and (isinstance(item, bool) or _is_number(item) or _is_text(item)) for key, item in value.items()
    )


def _is_channels(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(name) and name for name in value)


_Check = Callable[[Any], bool]
_CHECKS: dict[str, _Check] = {
    "class_names": _is_names,
    "image_size": lambda value: _is_whole(value) and 0 < value <= _MOST_PIXELS,
    "crop_pct": lambda value: _is_number(value) and 0 < value <= 1,
    "interpolation": lambda value: value in INTERPOLATIONS,
    "mean": _is_channels,
    "std": lambda value: _is_channels(value) and min(value) > 0,
    "colour_order": _is_text,
    "pool_padding": lambda value: value in POOL_PADDINGS,
    "amp_level": lambda value: value in AMP_LEVELS,
}
_PROVENANCE_CHECKS: dict[str, _Check] = {
    "source": _is_text,
    "versions": _is_text_mapping,
    "recipe": _is_recipe,
    "images": lambda value: _is_whole(value) and value >= 0,
    "training_list": _is_text,
}


def _checked(found: object, checks: Mapping[str, _Check], where: str) -> dict[str, Any]:
    """Return the known parts of an object, with tuples for lists; raise for one of the wrong type or out of range."""
    if not isinstance(found, dict):
        raise ValueError(f"the metadata in {where} is damaged: its provenance is no object")
    checked = {}
    for key, check in checks.items():
        if key not in found:
            continue
        value = found[key]
        if not check(value):
            raise ValueError(f"the metadata in {where} is damaged: its {key} is {value!a:.60}")
        checked[key] = tuple(value) if isinstance(value, list) else value
    return checked
