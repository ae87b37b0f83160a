"""What a training writes of itself into its checkpoints, and in what it differs from the one that it goes on with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np

from src.checkpoints.names import checkpoint_name
from src.checkpoints.position import Position
from src.data.usable_images import UsableImages
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import (
    amp_level,
    label_smoothing,
    loss_scale,
    rate_scale,
    scales_dynamically,
    sinks_data,
    workers,
)
from src.model_utils.local_adapter import Group
from src.model_utils.weights_settings import say
from src.training.class_weights import describe_weights
from src.training.model import build_augmentation
from src.training.options import WITH_MOMENTUM
from src.training.origin import Origin
from src.training.resume import Start
from src.training.schedule_change import LR_SCALE, schedule_change

_SETTINGS = (
    "device_target", "seed", "batch_size", "gradient_accumulation", "epoch_size", "max_steps", "warmup_epochs",
    "cooldown_epochs", "lr_decay_mode", "lr_init", "lr_max", "lr_end", "optimizer", "momentum", "weight_decay",
    "weight_decay_filter", "clip_grad_norm", "ema_decay", "dropout_rate", "freeze", "head_lr_scale", "layer_decay",
    "crop_min_area", "flip_probability", "vertical_flip", "color_jitter", "auto_augment", "rand_augment", "mixup",
    "cutmix", "random_erasing", "sampler",
)  # fmt: skip
_BEGINNING = ("pretrained", "resume", "finish_epoch")  # where a training began, which stays so when it goes on
_CHANGES = "changes"
KEPT = "kept_checkpoints"  # what a recipe calls the files that end a training which has been gone on with
_IMAGES, _FORM = "images", "form of the images"
_COMPARED_VERSIONS = ("mindspore", "numpy")


def describe_run(
    config: Config, group: Group, images: UsableImages, origin: Origin | None, start: Start, *, has_library: bool
) -> Metadata | None:
    """Return what a training writes of itself into its checkpoints, and say how exactly it goes on with another one.

    Args:
        config: The configuration.
        group: The processes that train together, of which only the first writes and speaks.
        images: The training images.
        origin: The checkpoint that training begins with; None for random weights.
        start: Where it starts.
        has_library: Whether the operators in C++ are used.

    Returns:
        What the weights mean; None on all ranks but the first.

    Raises:
        ConfigError: If the name of a class is no text.
    """
    if group.rank != 0:
        return None
    goes_on = origin is not None and origin.is_resumed
    names = (origin.class_names if origin and goes_on else ()) or tuple(images.class_names)
    metadata = describe(config, group.size, images, names, has_library=has_library)
    if not (origin and goes_on and start.checkpoint):
        return metadata
    metadata, note = go_on(origin, metadata, start.position)
    say(filter(None, [note, schedule_change(config, group.size, origin, start.position)]))
    return metadata


def describe(
    config: Config, ranks: int, images: UsableImages, class_names: tuple[str, ...], *, has_library: bool
) -> Metadata:
    """Return what the weights of a training mean, and what they come from.

    Args:
        config: The configuration.
        ranks: Number of processes that train together.
        images: The training images.
        class_names: The name of class 0, 1, ...
        has_library: Whether the operators in C++ are used.

    Raises:
        ConfigError: If the name of a class is no text.
    """
    unreadable = [name for name in class_names if not _is_text(name)]
    if unreadable:
        raise ConfigError(f"the name of class folder {unreadable[0]!a} in {images.source.path} is no UTF-8: rename it")
    provenance = Provenance(
        source="training",
        versions={"mindspore": ms.__version__, "numpy": np.__version__, "python": platform.python_version()},
        recipe=_recipe(config, ranks, has_library),
        images=images.count,
        training_list=images.source.digest(images.excluded),
    )
    return Metadata(
        class_names=class_names,
        image_size=config.image_size,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        amp_level=amp_level(config),
        provenance=provenance,
    )


def go_on(origin: Origin, now: Metadata, position: Position) -> tuple[Metadata, str]:
    """Join what a training writes of itself to what stands in the checkpoint that it goes on with.

    Args:
        origin: The checkpoint.
        now: What the training would write if it were a new one.
        position: Where it goes on.

    Returns:
        What it writes, with where the training began and all that has changed since; and a line that tells what changes
        now, "" for nothing.
    """
    before = origin.metadata or Metadata()
    old = before.provenance.recipe
    if not old:
        return now, f"{origin.path} does not tell its settings: whether this is its uninterrupted run is not known"
    recipe = {name: value for name, value in now.provenance.recipe.items() if name not in _BEGINNING}
    recipe |= {name: old[name] for name in (*_BEGINNING, _CHANGES, KEPT) if name in old}
    changed, note = ", ".join(_differences(before, now)), ""
    if changed:
        place = f"epoch {position.epoch}" + (f", step {position.step}" if position.step else "")
        recipe[_CHANGES] = "; ".join(filter(None, [str(old.get(_CHANGES, "")), f"after {place}: {changed}"]))
        if position.epoch == old.get("epoch_size") and not position.step:
            recipe[KEPT] = " ".join(filter(None, [str(old.get(KEPT, "")), checkpoint_name(position)]))
        note = f"this is not the uninterrupted run of {origin.path}: {changed}"
    return replace(now, provenance=replace(now.provenance, recipe=recipe)), note


def _recipe(config: Config, ranks: int, has_library: bool) -> dict[str, bool | int | float | str]:
    """Return the settings that decide what a training comes to, as they take effect."""
    recipe: dict[str, bool | int | float | str] = {name: getattr(config, name) for name in _SETTINGS}
    recipe |= {
        "lr_decay_mode": "linear" if config.lr_decay_mode == "liner" else config.lr_decay_mode,
        "color_jitter": 0.0 if build_augmentation(config).replaces_colours else config.color_jitter,
        "rand_augment_layers": config.rand_augment_layers if config.rand_augment else 0,
        "label_smooth_factor": label_smoothing(config),
        "loss_scale_mode": "dynamic" if scales_dynamically(config) else "fixed",
        "loss_scale": config.loss_scale if scales_dynamically(config) else loss_scale(config),
        "sync_bn": config.sync_bn and ranks > 1,
        LR_SCALE: rate_scale(config, ranks),
        "dataset_sink_mode": sinks_data(config),
        "num_parallel_workers": workers(config),
        "class_weights": describe_weights(config),
        "cpu_operators": has_library,
        "ranks": ranks,
    }
    if config.optimizer not in WITH_MOMENTUM:
        del recipe["momentum"]
    beginning = {"pretrained": config.pretrained, "resume": config.resume if config.resume != "auto" else ""}
    recipe |= {name: Path(path).name for name, path in beginning.items() if path}
    return recipe | ({"finish_epoch": config.finish_epoch} if config.finish_epoch else {})


def _differences(before: Metadata, now: Metadata) -> list[str]:
    """Return what both tell and tell differently, each as `name before -> now`."""
    old, new = _facts(before), _facts(now)
    found = {name: f"{name} {old[name]} -> {new[name]}" for name in new if name in old and old[name] != new[name]}
    lists = before.provenance.training_list, now.provenance.training_list
    if all(lists) and lists[0] != lists[1] and not found.keys() & {_IMAGES, _FORM}:
        found[_IMAGES] = "other training images, as many"
    return list(found.values())


def _facts(metadata: Metadata) -> dict[str, object]:
    """Return by name what decides the numbers of a training, as far as it is known."""
    provenance = metadata.provenance
    recipe = {**provenance.recipe, **_unsaid(provenance.recipe)}
    facts = {
        **{name: value for name, value in recipe.items() if name not in (*_BEGINNING, _CHANGES, KEPT)},
        "image_size": metadata.image_size,
        "amp_level": metadata.amp_level,
        _IMAGES: provenance.images,
        _FORM: provenance.training_list.partition(":")[0] or None,
        **{name: provenance.versions.get(name) for name in _COMPARED_VERSIONS},
    }
    return {name: value for name, value in facts.items() if value is not None}


def _unsaid(recipe: Mapping[str, object]) -> dict[str, object]:
    """Return what held of a training by an earlier version that tells its settings, and had none of these."""
    jitter = 0.0 if recipe.get("rand_augment") else 0.4
    held = {"vertical_flip": 0.0, "color_jitter": jitter, "auto_augment": "none", "dropout_rate": 0.5}
    return {name: value for name, value in held.items() if recipe and name not in recipe}


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
