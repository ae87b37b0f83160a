"""What the workloads begin with: the network, and batches of the pipelines or of noise."""

from __future__ import annotations

import mindspore as ms
import numpy as np

from src.checkpoints.position import Position
from src.checkpoints.weights import load_weights
from src.data.image_source import open_images
from src.data.usable_images import UsableImages
from src.evaluation.evaluation_set import open_test_images
from src.model_utils.config import Config
from src.model_utils.derived_settings import label_smoothing
from src.model_utils.local_adapter import ALONE, Group
from src.training.images import train_dataset
from src.Xception import Xception, xception
from tools.benchmarks.exchange import Exchange


def build_network(config: Config) -> Xception:
    """Return the network with the weights of `checkpoint_path`, or those that follow from the seed."""
    ms.set_seed(config.seed)
    network = xception(config.num_classes)
    if config.checkpoint_path:
        load_weights(network, config.checkpoint_path)
    return network


def open_batches(
    config: Config, do_train: bool, images: int, group: Group = ALONE, normalize: bool = False
) -> ms.dataset.Dataset:
    """Return this rank's batches as training's first epoch or evaluation has them, all of them whole."""
    source = open_images(config.test_data_dir, config.recursive)
    counts = source.counts()
    total = sum(counts.values())
    if total < images:
        raise ValueError(f"{config.test_data_dir} has {total} images, less than the {images} of a round: use --images")
    if len(counts) > config.num_classes:
        raise ValueError(
            f"{config.test_data_dir} has {len(counts)} classes, not {config.num_classes}: use --num_classes"
        )
    all_images = UsableImages(source, total)
    if do_train:
        dataset = train_dataset(config, group, all_images, Position())
        return dataset.take(count_steps(config, images, group))
    dataset = open_test_images(config, all_images, group, normalize)
    assert dataset is not None
    return dataset.take(images // (config.batch_size * group.size))


def count_steps(config: Config, images: int, group: Group) -> int:
    """Return how many steps of training so many images are, over all ranks; raise ValueError if they are not whole."""
    each = config.batch_size * config.gradient_accumulation * group.size
    if images % each:
        raise ValueError(f"the {images} images of a round are no whole steps of {each}: use another --images")
    return images // each


def random_batch(config: Config) -> np.ndarray:
    """Return noise as images, float32 (batch_size, 3, image_size, image_size)."""
    shape = (config.batch_size, 3, config.image_size, config.image_size)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def build_exchange(name: str, config: Config, images: int) -> Exchange:
    """Return what another framework needs to do the workload of a name: the same weights, and batches of a round."""
    network = build_network(config)
    if name == "predict":
        batches = [(random_batch(config), np.zeros(config.batch_size, np.int32))]
    else:
        dataset = open_batches(config, name == "training", images)
        batches = list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
    return Exchange(
        weights={each.name: each.asnumpy() for each in network.get_parameters()},
        images=np.stack([image for image, _ in batches]),
        labels=np.stack([label for _, label in batches]),
        smoothing=label_smoothing(config),
        trained=tuple(each.name for each in network.trainable_params()),
    )
