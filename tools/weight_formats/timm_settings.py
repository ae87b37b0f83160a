"""What timm tells of images and classes beside its weights: `args` of its training program, config.json of its hub."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.metadata.metadata import INTERPOLATIONS, Metadata, Provenance
from tools.weight_formats.layers import shown
from tools.weight_formats.torch_pickle import Namespace

# What timm's configuration of `legacy_xception` says; it rounds the resized side down.
IMAGES = Metadata(
    image_size=299,
    crop_pct=0.8975,
    interpolation="bicubic",
    pool_padding="symmetric",
    provenance=Provenance("timm"),
)
MEAN = STD = (0.5, 0.5, 0.5)  # of that configuration, of values from 0 to 1

_HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # as timm calls them, with config.json beside
_HUB_CONFIG = "config.json"
_LARGEST_SIDE = 1 << 16  # pixels
_LEAST_SHARE = 0.01
_POOLINGS = ("avg", "fast")  # by two programs, the average of all places


@dataclass(frozen=True)
class Settings:
    """What was told.

    Args:
        said: By the names of Metadata; what is not told is absent.
        mean: What is taken from the red, green and blue of values from 0 to 1.
        std: What the rest is divided by.
        notes: What cannot be done here as it is told, one line each.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    notes: tuple[str, ...] = ()


def read_settings(path: Path, content: Any) -> Settings:
    """Return what the settings with a file of weights tell.

    Args:
        path: The file.
        content: What is in it beside or around the weights, if it is of PyTorch's own format.

    Raises:
        ValueError: If a setting is none that timm has, or the network cannot express it.
        OSError: If config.json cannot be read.
    """
    where, told = _find(path, content)
    if not told:
        return Settings()
    pooling = told.get("gp") or told.get("global_pool")
    if pooling and pooling not in _POOLINGS:
        raise ValueError(f"{where} has the pooling {_told(pooling)}, which this network cannot express: it averages")
    notes: list[str] = []
    said: dict[str, Any] = {
        "crop_pct": _crop_pct(told, where, notes),
        "interpolation": _interpolation(told, where, notes),
        "class_names": _class_names(told.get("label_names"), where, notes),
    }
    said = {name: value for name, value in said.items() if value}
    size = told.get("input_size") or told.get("img_size")  # in timm's order
    if size:
        said["image_size"] = _side(size, where, notes)
    if told.get("crop_mode") not in (None, "", "center"):
        notes.append(f"{where} has crop_mode {_told(told['crop_mode'])}: here the centre is cropped")
    mean, std = (_channels(told, name, default, where) for name, default in (("mean", MEAN), ("std", STD)))
    return Settings(said, mean, std, tuple(notes))


def _find(path: Path, content: Any) -> tuple[str, Mapping[Any, Any]]:
    """Return where the settings are, for messages, and the settings by timm's names; these are empty without any."""
    args = content.get("args") if isinstance(content, dict) else None
    args = args.values if isinstance(args, Namespace) else args
    if isinstance(args, dict):
        return f"args in {path}", args
    beside = path.with_name(_HUB_CONFIG)
    if path.name not in _HUB_WEIGHTS or not beside.is_file():
        return "", {}
    try:
        config = json.loads(beside.read_text("utf-8"))
        images = config.get("pretrained_cfg", config)  # older files have one level
        pooling = config.get("model_args", {}).get("global_pool") or config.get("global_pool")
        names = config.get("label_names") or images.get("label_names") or images.get("labels")
        return str(beside), {**images, "global_pool": pooling, "label_names": names}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot read {beside}, the settings of {path.name}: it is none of timm's") from error


def _side(size: Any, where: str, notes: list[str]) -> int | None:
    """Return the side of square images, None for others."""
    sides = size[-2:] if isinstance(size, list | tuple) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= _LARGEST_SIDE for side in sides):
        raise _no_setting(where, "img_size", size)
    if sides[0] != sides[1]:
        notes.append(f"{where} has images of {sides[0]} x {sides[1]}; here they are square: add --image_size")
        return None
    return sides[0]


def _crop_pct(told: Mapping[Any, Any], where: str, notes: list[str]) -> float | None:
    share = told.get("crop_pct")
    if not share:
        return None
    if not _is_number(share) or share < _LEAST_SHARE:
        raise _no_setting(where, "crop_pct", share)
    if share > 1:
        notes.append(f"{where} has crop_pct {share:g}, a margin around the image: here the whole of it is taken")
    return min(float(share), 1.0)


def _interpolation(told: Mapping[Any, Any], where: str, notes: list[str]) -> str | None:
    found = told.get("interpolation")
    if not found or found in INTERPOLATIONS:
        return found or None
    notes.append(f"{where} has the interpolation {_told(found)}: {IMAGES.interpolation} is taken")
    return None


def _class_names(found: Any, where: str, notes: list[str]) -> tuple[str, ...]:
    """Return the classes' names, which timm has in a row or by number; there may be gaps among the numbers."""
    if not found:
        return ()
    if isinstance(found, dict):
        numbers = [str(number) for number in range(len(found))]
        if found.keys() != set(numbers):
            notes.append(f"{where} does not name every class: no names are taken, --class_names gives them")
            return ()
        found = [found[number] for number in numbers]
    if not isinstance(found, list | tuple) or not all(isinstance(name, str) and name for name in found):
        raise _no_setting(where, "label_names", found)
    return tuple(found)


def _channels(told: Mapping[Any, Any], name: str, default: tuple[float, ...], where: str) -> tuple[float, ...]:
    found = told.get(name)
    if not found:
        return default
    values = tuple(found) if isinstance(found, list | tuple) else ()
    values = values * 3 if len(values) == 1 else values
    least = 0 if name == "mean" else math.ulp(0)
    if len(values) != 3 or not all(_is_number(value) and least <= value <= 1 for value in values):
        raise _no_setting(where, name, found)
    return values


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _no_setting(where: str, name: str, value: Any) -> ValueError:
    return ValueError(f"{where} has {name} {_told(value)}, which is none of timm's: convert the state_dict alone")


def _told(value: Any) -> str:
    """Return a value of a file for a message: short, and on one line."""
    try:
        return shown(value if isinstance(value, str) else reprlib.repr(value))[:80]
    except ValueError:  # a number of more digits than Python writes
        return "a number of very many digits"
