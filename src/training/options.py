"""Options of a training that do not fit each other, or have another effect than a person may think."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import (
    IMAGES_OF_RECIPE,
    amp_level,
    images_per_step,
    scales_dynamically,
    sinks_data,
)
from src.model_utils.local_adapter import Group
from src.model_utils.weights_settings import say
from src.training.loss_scale import SMALLEST
from src.training.model import build_augmentation

WITH_MOMENTUM = ("momentum", "nesterov")  # the optimizers that the recipe's learning rate is for
_USUAL_RATES = {"adamw": 0.001, "lamb": 0.005}


def check_options(config: Config) -> None:
    """Check the options of a training before anything is read.

    Args:
        config: The configuration.

    Raises:
        ConfigError: If options do not fit each other or the device.
    """
    build_augmentation(config)
    if config.optimizer not in WITH_MOMENTUM and not config.is_given("lr_max"):
        raise ConfigError(
            f"optimizer is {config.optimizer}, but lr_max is the recipe's {config.lr_max:g}, which is for momentum: "
            f"add --lr_max={_USUAL_RATES[config.optimizer]:g} or another"
        )
    if config.sync_bn and config.device_target != "Ascend":
        raise ConfigError(
            f"sync_bn is true, but MindSpore synchronises batch norm on Ascend alone, and device_target is "
            f"{config.device_target}: leave it out; the mean statistics of all devices are validated and saved anyway"
        )
    if config.cooldown_epochs >= config.epoch_size:
        raise ConfigError(
            f"cooldown_epochs is {config.cooldown_epochs}, but epoch_size is {config.epoch_size}: it is a part of "
            "these, so it must be smaller"
        )
    for name in ("max_steps", "save_checkpoint_steps"):
        if getattr(config, name) and sinks_data(config):
            raise ConfigError(
                f"{name} is {getattr(config, name)}, but the device takes a whole epoch at once: add "
                "--dataset_sink_mode=False"
            )
    _check_outputs(config)
    if scales_dynamically(config) and config.loss_scale < SMALLEST:
        raise ConfigError(f"loss_scale is {config.loss_scale:g}, but a dynamic one is {SMALLEST:g} or more")


def _check_outputs(config: Config) -> None:
    """Check where a picture of the first batch and events are to be written."""
    if config.show_batch and not config.show_batch.endswith(".png"):
        raise ConfigError(f"show_batch is {config.show_batch}, but the picture is a PNG file: let its name end in .png")
    if config.show_batch and config.dry_run:
        raise ConfigError("show_batch and dry_run are both given: leave one of them out")
    for name in ("show_batch", "log_dir"):
        for images in ("train_data_dir", "test_data_dir"):
            path, folder = getattr(config, name), getattr(config, images)
            if path and folder and Path(path).resolve().is_relative_to(Path(folder).resolve()):
                raise ConfigError(
                    f"{name} {path} is in {images} {folder}, where it could be taken for images of a class: choose "
                    "another place"
                )


def say_notes(config: Config, group: Group) -> None:
    """Say what a person should know of the options of a training: what has no effect, or another one.

    Args:
        config: The configuration.
        group: The processes that train together, of which the first one speaks.
    """
    if group.rank == 0:
        say(_notes(config, group.size))


def _notes(config: Config, ranks: int) -> Iterator[str]:
    yield from _validation_notes(config)
    if trial := "show_batch" if config.show_batch else "dry_run" if config.dry_run else "":
        for name in ("log_dir", "enable_profiling"):
            if getattr(config, name):
                yield f"{name} has no effect with {trial}, which writes nothing of a training"
    if config.save_checkpoint_steps and not config.save_checkpoint:
        yield "save_checkpoint_steps has no effect: save_checkpoint is false"
    if config.max_steps and config.is_given("epoch_size"):
        yield f"epoch_size {config.epoch_size} has no effect: max_steps is {config.max_steps}"
    if config.optimizer not in WITH_MOMENTUM and config.is_given("momentum"):
        yield f"momentum has no effect on the optimizer {config.optimizer}"
    if config.is_given("color_jitter") and build_augmentation(config).replaces_colours:
        other = "rand_augment" if config.rand_augment else "auto_augment"
        yield f"color_jitter has no effect: the operations of {other} take its place"
    if config.sync_bn and ranks == 1:
        yield "sync_bn has no effect: one process trains alone"
    if config.loss_scale_mode == "dynamic" and not scales_dynamically(config):
        yield f"loss_scale_mode=dynamic has no effect in float32 (amp_level {amp_level(config)})"
    if config.layer_decay != 1 and config.freeze == "features":
        yield "layer_decay has no effect: only the classifier is trained, at the whole rate"
    images = images_per_step(config, ranks)
    if images == IMAGES_OF_RECIPE:
        return
    scale = images / IMAGES_OF_RECIPE
    scaled = f"{config.lr_max * scale:.3g}"
    if config.scale_lr:
        yield f"a step has {images:,} images: the learning rates are multiplied by {scale:.3g}, lr_max becomes {scaled}"
    elif not config.is_given("lr_max"):
        yield (
            f"a step has {images:,} images, and the recipe's learning rate is for {IMAGES_OF_RECIPE:,}: lr_max is "
            f"{config.lr_max:g}, in proportion it would be {scaled} (--scale_lr=True)"
        )


def _validation_notes(config: Config) -> Iterator[str]:
    if not config.eval_while_train:
        for name in ("eval_interval", "early_stopping", "best_metric"):
            if config.is_given(name):
                yield f"{name} has no effect: nothing is validated, eval_while_train is false"
    elif config.best_metric == "top_5" and config.num_classes <= 5:
        yield f"best_metric is top_5, which is always 1 with {config.num_classes} classes: the first one stays the best"
