"""The checkpoint that a training begins with: which one it is, what it says of itself, and what of that counts."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.checkpoints.file import DamagedCheckpoint
from src.checkpoints.folder import checkpoint_folder
from src.checkpoints.record import recorded_checkpoints
from src.checkpoints.weights import read_description
from src.common.files import printable
from src.data.record_set import data_set_classes
from src.metadata.class_list import describe_difference
from src.metadata.metadata import Metadata
from src.model_utils.beside import SETTINGS
from src.model_utils.config import Config, ConfigError
from src.model_utils.local_adapter import Group, gather_from_ranks
from src.model_utils.weights_settings import check_training, say, settle
from src.training.beginning import choose_beginning

AUTO = "auto"


@dataclass(frozen=True)
class Origin:
    """A checkpoint that a training begins with.

    Args:
        path: The file.
        is_resumed: Whether its training goes on, as far as it records how far that is; else a new one begins.
        metadata: What it says of its weights; None for nothing.
        num_classes: Number of classes of its classifier; None where it has none.
    """

    path: Path
    is_resumed: bool
    metadata: Metadata | None = None
    num_classes: int | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of its classes; none where they are not known."""
        return self.metadata.class_names if self.metadata else ()


def settle_origin(config: Config, group: Group) -> tuple[Config, Origin | None]:
    """Find the checkpoint that a training begins with, and let what it says of itself count where nothing is given.

    Args:
        config: The configuration.
        group: The processes that train together, all of which call this; the first one says what counts.

    Returns:
        The configuration, as follow_origin returns it, with `num_classes` of the training images where it is 0,
        or a checkpoint could be meant and no other number is given; and the checkpoint, None for random weights.

    Raises:
        ConfigError: If a training is to go on with other classes, or options do not fit each other.
        ValueError: If the checkpoint or the folder of the images does not fit.
        OSError: If a file beside the checkpoint cannot be read.
    """
    begins_with_weights = bool(config.resume or config.pretrained or config.initial_checkpoint)
    if config.num_classes and not begins_with_weights:
        return config, None
    class_names = data_set_classes(config.train_data_dir)
    config, note = choose_beginning(config, checkpoint_folder(config), class_names)
    if note and group.rank == 0:
        print(printable(note), flush=True)
    origin = find_origin(config, checkpoint_folder(config), group) if begins_with_weights else None
    if not config.num_classes and group.rank == 0:
        print(f"num_classes is {len(class_names)}, the classes of {config.train_data_dir}", flush=True)
    if not (config.num_classes and config.is_given("num_classes")):
        config = config.replace(num_classes=len(class_names))
    if origin is None:
        return config, None
    config, origin, notes = follow_origin(config, origin, class_names, config.train_data_dir)
    if group.rank == 0:
        say(notes)
    return config, origin


def find_origin(config: Config, folder: Path, group: Group) -> Origin | None:
    """Find the checkpoint to begin with and read what it says of itself; every rank calls this and gets the same.

    Args:
        config: With `resume` and `pretrained`.
        folder: Where `resume: auto` looks for checkpoints; the newest whole one comes before pretrained weights.
        group: The processes that train together.

    Returns:
        The checkpoint, None where training begins with random weights.

    Raises:
        ConfigError: If both options name a file.
        ValueError: If the file is missing or damaged, or the ranks find different ones.
    """
    if config.pretrained and config.resume not in ("", AUTO):
        raise ConfigError(
            f"both pretrained ({config.pretrained}) and resume ({config.resume}) are given: pretrained weights start a "
            f"new training, resume goes on with one"
        )
    origin = None
    if config.resume == AUTO:
        origin = _find_newest(folder)
    elif config.resume:
        origin = _read(Path(config.resume), is_resumed=True)
    if origin is None and config.pretrained:
        origin = _read(Path(config.pretrained), is_resumed=False)
    _check_same(origin, group)
    return origin


def follow_origin(
    config: Config, origin: Origin, class_names: Sequence[str], folder: str
) -> tuple[Config, Origin, list[str]]:
    """Let what a checkpoint says of itself count where nothing else is given.

    Args:
        config: The configuration.
        origin: The checkpoint.
        class_names: Names of the classes to train.
        folder: The folder of the training images, which they are from.

    Returns:
        The configuration, with `image_size`, `crop_pct`, `interpolation` and, where a training in float32 goes on, its
        precision; the checkpoint, with what the files beside it tell of it; and lines that a person should read.

    Raises:
        ConfigError: If a training is to go on with other classes.
        ValueError: If the checkpoint does not fit the files beside it.
        OSError: If one of these cannot be read.
    """
    path = origin.path
    settled = settle(config.replace(amp_level="auto"), path, origin.metadata)
    check_training(path, settled.training_classes, origin.num_classes)
    origin = replace(origin, metadata=settled.metadata)
    names = len(origin.class_names)
    if origin.num_classes and names not in (0, origin.num_classes):
        raise ValueError(
            f"{settled.names_file} has {names} class names, but {path} has {origin.num_classes} classes: they do not "
            "belong together"
        )
    if origin.is_resumed:
        _check_classes(origin, settled.names_file, class_names, folder)
    notes = list(settled.notes)
    followed = [name for name in SETTINGS if not config.is_given(name) and getattr(origin.metadata, name) is not None]
    if followed:
        notes.append(f"{', '.join(f'{name} {getattr(settled.config, name)}' for name in followed)}, as {path} tells")
    if origin.num_classes == len(class_names) and not names:
        notes.append(
            f"{path} does not tell the names of its classes: they are taken to be those of {folder}, by position"
        )
    follows = origin.is_resumed and not _chooses_precision(config)
    level = settled.config.amp_level if follows else config.amp_level
    return settled.config.replace(amp_level=level), origin, notes


def _find_newest(folder: Path) -> Origin | None:
    """Return the checkpoint of a folder that is furthest by its own record and whole, None where there is none.

    Those that are passed over are named. One that records no position is taken where no other will do.
    """
    candidates = recorded_checkpoints(folder)[::-1]
    if not candidates:
        print(f"no checkpoint in {folder} yet: training starts at the beginning", flush=True)
        return None
    without = [origin for path, position in candidates if not position and (origin := _read_whole(path))]
    for path, position in candidates:
        if position and (origin := _read_whole(path)):
            for other in without:
                print(f"skipping {other.path}: it records no position", flush=True)
            return origin
    if without:
        return without[0]
    raise ValueError(
        f"none of the {len(candidates)} checkpoints in {folder} can be read: remove them to start at the beginning, "
        f"or name another one with --resume=FILE"
    )


def _read_whole(path: Path) -> Origin | None:
    """Return a checkpoint to go on with; None, and a line that says so, for a damaged one."""
    try:
        return _read(path, is_resumed=True, whole=True)
    except DamagedCheckpoint as error:
        print(f"skipping {path}: {error}", flush=True)
        return None


def _read(path: Path, is_resumed: bool, whole: bool = False) -> Origin:
    description = read_description(path, whole)
    return Origin(path, is_resumed, description.metadata, description.num_classes)


def _check_classes(origin: Origin, names_file: Path, class_names: Sequence[str], folder: str) -> None:
    """Raise if a training would go on with classes that have other names, or are of another number."""
    difference = describe_difference(origin.class_names, class_names) if origin.class_names else ""
    way_out = f"go on with the same classes, or start a new training from these weights by --pretrained={origin.path}"
    if difference:
        raise ConfigError(f"{names_file} names other classes than {folder} has: {difference}; {way_out}")
    if origin.num_classes not in (None, len(class_names)):
        raise ConfigError(
            f"{origin.path} has {origin.num_classes} classes, but {folder} has {len(class_names)}: {way_out}"
        )


def _chooses_precision(config: Config) -> bool:
    """Tell whether a person has chosen the precision, by either option."""
    return config.amp_level != "auto" or (config.device_target == "GPU" and config.is_given("is_fp32"))


def _check_same(origin: Origin | None, group: Group) -> None:
    """Raise on every rank if they found different checkpoints: not all machines see those of the first rank."""
    described = f"{origin.path.name}\0{origin.metadata}\0{origin.num_classes}" if origin else ""
    found = gather_from_ranks(np.array(zlib.crc32(described.encode(errors="surrogateescape")), np.int64), group)
    different = np.flatnonzero(found != found[0])
    if different.size:
        raise ValueError(
            f"rank {different[0]} found another checkpoint to begin with than rank 0: all ranks need the same, so put "
            "it and --save_checkpoint_path on a disk that all machines share"
        )
