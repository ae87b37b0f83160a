"""The configured test images, opened, matched to the classes of a model, and evaluated."""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass

import mindspore as ms
import numpy as np

from src.common.files import printable
from src.data.class_map import read_class_map
from src.data.class_matching import MatchedClasses, ModelClasses, first_of, match_classes, match_labels
from src.data.image_limits import ImageLimits
from src.data.image_source import ImageSource
from src.data.usable_images import UsableImages, usable_images
from src.dataset import create_dataset, readable_errors
from src.evaluation.counting import Engine, Result, evaluate, share
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import Group, gather_from_ranks
from src.model_utils.weights_settings import Settled


@dataclass(frozen=True)
class EvaluationSet:
    """Images to evaluate, and which classes of the model they are of.

    Args:
        images: The images.
        classes: The class of each class folder.
    """

    images: UsableImages
    classes: MatchedClasses


def classes_of(settled: Settled) -> ModelClasses:
    """Return the classes of a model whose settings are known."""
    return ModelClasses(str(settled.weights), settled.config.num_classes, settled.metadata.class_names)


def open_evaluation_set(config: Config, source: ImageSource, model: ModelClasses, group: Group) -> EvaluationSet:
    """Match the class folders to the model's classes, check the images, and say what a person should know of both.

    Args:
        config: With `class_map`, `bad_images` and `num_parallel_workers`.
        source: The images.
        model: The classes of the model.
        group: The processes that share the images, each of which calls this and gets the same.

    Raises:
        ValueError: If folders and classes do not fit, or differ between ranks, or an image is missing or unfit.
    """
    if source.is_numbered and not config.class_map:
        classes = match_labels(source.class_names, source.path, model)
    else:
        class_map = read_class_map(config.class_map) if config.class_map else None
        classes = match_classes(source.class_names, source.path, model, class_map)
    _check_equal(source, classes, group)
    images = usable_images(config, source, group)
    if group.rank == 0:
        for note in classes.notes:
            print(printable(note), file=sys.stderr, flush=True)
        if classes.absent:
            absent = printable(first_of(classes.absent))
            print(f"{len(classes.absent)} of {model.count} classes have no image here: {absent}", flush=True)
    return EvaluationSet(images, classes)


def evaluate_test_images(config: Config, engine: Engine, evaluated: EvaluationSet, group: Group) -> Result:
    """Evaluate the configured test images; every process of the group calls this.

    Args:
        config: With `test_data_dir`, the sizes of the engine, and how images are resized.
        engine: Computes logits and losses, which should be equal on all ranks.
        evaluated: The test images and their classes.
        group: The processes that share them.

    Returns:
        The result of all processes.

    Raises:
        ValueError: If an image cannot be read, or a logit is NaN or infinite.
    """
    images = evaluated.images
    with readable_errors(images.source, ImageLimits.of(config)):
        dataset = open_test_images(config, images, group, normalize=not engine.normalizes)
        return evaluate(engine, dataset, images.count, group, evaluated.classes.labels)


def open_test_images(
    config: Config, images: UsableImages, group: Group, normalize: bool = True
) -> ms.dataset.Dataset | None:
    """Return this process's share of the configured test images, None where there is none for it.

    Args:
        config: The configuration.
        images: The test images.
        group: The processes that share the images.
        normalize: As in create_dataset.
    """
    if not share(images.count, group):
        return None
    return create_dataset(
        images.source,
        False,
        config.batch_size,
        group.size,
        group.rank,
        image_size=config.image_size,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        num_parallel_workers=workers(config),
        excluded=images.excluded,
        max_image_pixels=config.max_image_pixels,
        normalize=normalize,
    )


def _check_equal(source: ImageSource, classes: MatchedClasses, group: Group) -> None:
    """Raise on every rank if one of them sees other classes: its machine has other folders, or other names."""
    mine = repr((source.class_names, classes.labels, classes.names)).encode(errors="backslashreplace")
    everyone = gather_from_ranks(np.array(zlib.crc32(mine), np.int64), group)
    different = np.flatnonzero(everyone != everyone[0])
    if different.size:
        raise ValueError(
            f"rank {different[0]} sees other classes in {source.path} than rank 0: copy the images, the class map, and "
            f"the weights with what is beside them to every machine"
        )
