"""The images of a training: checked, matched to its classes, and as the data set of each epoch."""

from __future__ import annotations

import os

import mindspore as ms
import numpy as np

from src.checkpoints.position import Position
from src.data.class_matching import ModelClasses
from src.data.held_out import hold_out
from src.data.image_source import open_images
from src.data.usable_images import UsableImages, usable_images
from src.dataset import create_dataset
from src.evaluation.evaluation_set import EvaluationSet, open_evaluation_set
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import Group
from src.model_utils.weights_settings import say
from src.training.model import build_augmentation

_ON_TRAINING_IMAGES = (
    "warning: test_data_dir {} holds the images that are trained on, and tells nothing of others: "
    "--validation_split=0.1 in its place holds a part of them out"
)


def check_data(config: Config, group: Group) -> tuple[UsableImages, EvaluationSet | None]:
    """Check the folders of a training; return its images, and those of its validation if there is one."""
    source, test_source, test_images = open_images(config.train_data_dir, config.recursive), None, None
    if config.validation_split:
        held_out = hold_out(source, config.validation_split)
        source, test_source = held_out.training, held_out.validation
        if group.rank == 0:
            print(held_out.note, flush=True)
    train_images = usable_images(config, source, group, do_train=True)
    if config.eval_while_train:
        model = ModelClasses(config.train_data_dir, config.num_classes, tuple(train_images.class_names))
        if test_source is None:
            test_source = open_images(config.test_data_dir, config.recursive)
            if group.rank == 0 and os.path.samefile(config.test_data_dir, config.train_data_dir):
                say([_ON_TRAINING_IMAGES.format(config.test_data_dir)])
        test_images = open_evaluation_set(config, test_source, model, group)
    elif config.class_map and group.rank == 0:
        say([f"class_map {config.class_map} has no effect: it is for validation, and eval_while_train is false"])
    return train_images, test_images


def train_dataset(config: Config, group: Group, images: UsableImages, position: Position) -> ms.dataset.Dataset:
    """Return the images of the epoch of a position, without the batches that are done."""
    seed = np.random.SeedSequence((config.seed, position.epoch)).generate_state(1)[0]
    return create_dataset(
        images.source,
        True,
        config.batch_size,
        group.size,
        group.rank,
        image_size=config.image_size,
        num_parallel_workers=workers(config),
        seed=int(seed),
        skip_batches=position.step,
        crop_min_area=config.crop_min_area,
        flip_probability=config.flip_probability,
        excluded=images.excluded,
        max_image_pixels=config.max_image_pixels,
        augmentation=build_augmentation(config),
        micro_batches=config.gradient_accumulation,
        normalize=False,
        balanced=config.sampler == "balanced",
    )
