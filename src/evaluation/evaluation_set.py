"""The configured test images, opened and evaluated."""

from __future__ import annotations

import mindspore as ms

from src.data.usable_images import UsableImages
from src.dataset import create_dataset, readable_errors
from src.evaluation.counting import Engine, Result, evaluate, share
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.local_adapter import Group


def evaluate_test_images(config: Config, engine: Engine, images: UsableImages, group: Group) -> Result:
    """Evaluate the configured test images; every process of the group calls this.

    Args:
        config: With `test_data_dir`, the sizes of the engine, and how images are resized.
        engine: Computes logits and losses, which should be equal on all ranks.
        images: The test images.
        group: The processes that share them.

    Returns:
        The result of all processes.

    Raises:
        ValueError: If an image cannot be read, or a logit is NaN or infinite.
    """
    with readable_errors(images.source):
        dataset = open_test_images(config, images, group, normalize=not engine.normalizes)
        return evaluate(engine, dataset, images.count, group)


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
        normalize=normalize,
    )
