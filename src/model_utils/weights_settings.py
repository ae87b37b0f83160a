"""The settings that weights decide: what a person gives comes first, then what the weights say, then the defaults."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.common.files import printable
from src.metadata.class_list import read_class_list
from src.metadata.metadata import Metadata
from src.model_utils.beside import CONFIG, SETTINGS, Found, find_beside
from src.model_utils.config import Config, ConfigError


@dataclass(frozen=True)
class Settled:
    """What counts for weights.

    Args:
        weights: Their file.
        config: The configuration, with the settings that the weights decide.
        metadata: What the weights mean, with what is beside them.
        notes: What a person should know: differences and assumptions, one line each.
        names_file: The file that the class names are from.
        names_are_given: Whether a person has given it.
        training_classes: Number of classes in the configuration beside the weights; None where it does not count.
    """

    weights: Path
    config: Config
    metadata: Metadata
    notes: tuple[str, ...]
    names_file: Path
    names_are_given: bool = False
    training_classes: int | None = None

    def fit(self, num_classes: int) -> Settled:
        """Return the same for weights whose network is known.

        Args:
            num_classes: Its number of classes.

        Raises:
            ConfigError: If another number of classes is given.
            ValueError: If the weights have names for another number of classes, or a file beside them is of another.
        """
        if self.config.is_given("num_classes") and self.config.num_classes not in (0, num_classes):
            raise ConfigError(
                f"num_classes is {self.config.num_classes}, but {self.weights} has {num_classes} classes: use "
                f"--num_classes={num_classes}, or leave it out"
            )
        check_training(self.weights, self.training_classes, num_classes)
        names = len(self.metadata.class_names)
        if names not in (0, num_classes):
            way_out = "give another file with --class_names" if self.names_are_given else "it belongs to other weights"
            raise ValueError(
                f"{self.names_file} has {names} names, but the network has {num_classes} classes: {way_out}"
            )
        return replace(self, config=self.config.replace(num_classes=num_classes))


def settle(
    config: Config,
    weights: Path,
    metadata: Metadata | None,
    class_names: Path | None = None,
    only_size: int | None = None,
) -> Settled:
    """Find the settings for weights.

    Args:
        config: The configuration; what a person has given wins, and a note tells the difference.
        weights: The file of the weights.
        metadata: What it says of them; None for nothing.
        class_names: File of class names in the place of those that the weights tell; None for these.
        only_size: Side of the images that the network takes, where only one will do.

    Returns:
        The configuration with `image_size`, `crop_pct`, `interpolation` and, where the training computed in float32,
        `amp_level`; and the metadata, filled from the files beside the weights.

    Raises:
        ValueError: If a file beside the weights is damaged, or describes others.
        OSError: If a file cannot be read.
    """
    metadata, notes = metadata or Metadata(), []
    if class_names:
        names = tuple(read_class_list(class_names))
        if metadata.class_names not in ((), names):
            notes.append(f"the class names are those of {class_names}, as given, though {weights} has others")
        metadata = replace(metadata, class_names=names)
    beside = look_beside(weights, metadata)
    notes += [beside.note] if beside.note else []
    changes: dict[str, Any] = {}
    known, assumed = beside.metadata, []
    for name in SETTINGS:
        value, given = getattr(known, name), getattr(config, name)
        if name == "image_size" and only_size:
            notes += _only_size_notes(config, weights, value, only_size)
            changes[name] = only_size
        elif config.is_given(name):
            if value not in (None, given):
                notes.append(f"{name} is {given}, as given, though {weights} says {value}")
        elif value is not None:
            changes[name] = value
        else:
            assumed.append(f"{name} {given}")
    if assumed:
        notes.append(f"{weights} does not tell how its images are made, so this is assumed: {', '.join(assumed)}")
    if config.is_given("amp_level") and config.amp_level != "auto" and known.amp_level == "O0" != config.amp_level:
        notes.append(f"amp_level is {config.amp_level}, as given, though {weights} was trained in float32")
    # A training in float32 is not computed in float16 only because a device does so by itself.
    if known.amp_level == "O0" and config.amp_level == "auto":
        changes["amp_level"] = "O0"
    names_file = class_names or beside.names_file
    config, told = config.replace(**changes), tuple(notes)
    return Settled(
        weights,
        config,
        known,
        told,
        names_file=names_file,
        names_are_given=class_names is not None,
        training_classes=beside.training_classes,
    )


def _only_size_notes(config: Config, weights: Path, trained: int | None, only_size: int) -> list[str]:
    """Tell what differs from the only size of images that a network takes."""
    given, notes = config.image_size, []
    if config.is_given("image_size") and given != only_size:
        notes.append(f"image_size is {only_size}, not {given} as given: {weights} takes no other")
    if trained not in (None, only_size):
        notes.append(f"{weights} takes images of {only_size} pixels, but was trained with {trained}")
    return notes


def average_note(config: Config, weights: Path, has_average: bool) -> tuple[str, ...]:
    """Tell if use_average has no effect on weights, as their file holds no moving average."""
    if config.use_average or has_average:
        return ()
    return (f"{weights} holds no moving average of its weights: use_average changes nothing",)


def check_training(weights: Path, training_classes: int | None, num_classes: int | None) -> None:
    """Raise a ValueError if the configuration beside weights is of another number of classes than they are."""
    if training_classes and num_classes and training_classes != num_classes:
        raise ValueError(
            f"{weights.resolve().with_name(CONFIG)} is of a training with {training_classes} classes, but {weights} "
            f"has {num_classes}: it belongs to other weights"
        )


def say(notes: Iterable[str]) -> None:
    """Tell a person, on stderr."""
    for note in notes:
        print(printable(note), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Beside:
    """Metadata with what is beside weights.

    Args:
        metadata: The metadata.
        note: Says what is from where; empty where nothing is.
        names_file: The file of the class names.
        training_classes: As in Settled.
    """

    metadata: Metadata
    note: str
    names_file: Path
    training_classes: int | None = None


def look_beside(weights: Path, metadata: Metadata) -> Beside:
    """Fill what metadata does not tell from the files beside the weights.

    Raises:
        ValueError: If such a file is damaged, or describes other weights.
        OSError: If it cannot be read.
    """
    missing = [name for name in ("class_names", *SETTINGS, "amp_level") if not getattr(metadata, name)]
    beside = find_beside(weights) if missing else Found(Metadata(), [])
    found = {name: value for name in missing if (value := getattr(beside.metadata, name))}
    if not found:
        return Beside(metadata, "", weights)
    parts = ", ".join(name.replace("_", " ") for name in found)
    note = f"{weights} does not tell its {parts}: taken from {' and '.join(map(str, beside.files))}"
    names_file = beside.files[-1] if "class_names" in found else weights
    return Beside(replace(metadata, **found), note, names_file, beside.num_classes)
