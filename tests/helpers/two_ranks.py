"""What the processes of a group must agree on; each process runs this module's main, started by msrun.

Usage: msrun --worker_num=2 --local_worker_num=2 tests/helpers/two_ranks.py TRAIN_FOLDER OUT LIBRARY
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.cpu.reducer import SharedMemoryReducer
from src.cpu.shared_memory import share_memory, shares_memory
from src.cpu.threads import share_cores
from src.data.class_matching import ModelClasses
from src.data.image_source import open_images
from src.data.usable_images import usable_images
from src.dataset import create_dataset
from src.evaluation import counting
from src.evaluation.engines import by_mindspore, image_loss
from src.evaluation.evaluation_set import evaluate_test_images, open_evaluation_set
from src.launch.leaving import leave
from src.model_utils.config import Config, parse_config
from src.model_utils.device_adapter import use_device
from src.model_utils.local_adapter import Group, average_over_ranks, join_group, sum_over_ranks
from src.model_utils.shared_processors import find_share, share_threads
from src.training.loss_scale import DynamicLossScale
from src.training.model import build_augmentation, build_model, build_optimizer, build_schedule
from src.training.step import follow
from src.Xception import Xception, xception
from tests.helpers.deterministic import set_weights
from tests.helpers.logits import Logits, dataset_of
from tests.helpers.no_memory import no_memory

BATCH, STEPS, CLASSES = 3, 3, 3
OPTIONS = (
    "--rand_augment=9", "--mixup=0.2", "--random_erasing=0.5", "--gradient_accumulation=2", "--clip_grad_norm=0.01",
    "--ema_decay=0.5", "--weight_decay_filter=norm_and_bias", "--lr_init=1", "--lr_max=1",
)  # fmt: skip
OPTIONS_STEPS = 1  # two micro-batches on each rank
OPTIMIZERS = ("momentum", "nesterov", "adamw", "lamb")
OF_PARTS = ("--head_lr_scale=0.5", "--layer_decay=0.75")
AVERAGED = (np.full((2, 3), 7.5, np.float32), np.arange(5, dtype=np.float32))
BOTH, SECOND_NOT = (True, True), (True, False)
FINITE = (
    (BOTH, BOTH),
    (BOTH, SECOND_NOT),
    (SECOND_NOT, SECOND_NOT),
)  # losses and gradients of the ranks, in three steps
CLASS_NAMES = ("2", "none", "0", "1")  # of a model that is evaluated on the folders 0, 1 and 2
IMAGES = range(1, 8)  # of the evaluations: fewer than, as many as and more than there are ranks


def configuration(*words: str) -> Config:
    """Return the configuration of a short training, at rates so low that rounding errors do not grow in it."""
    return parse_config(
        ["--num_classes=3", "--epoch_size=1", "--lr_init=1e-5", "--lr_max=2e-5", *words],
        lambda _: "CPU",
    )


def build_network() -> Xception:
    """Return the network with the tests' weights and without dropout, whose masks are each rank's own."""
    network = xception(CLASSES)
    set_weights(network)
    network.dropout = nn.Dropout(p=0.0)
    return network.set_train()


class Small(nn.Cell):
    """A network that compiles in a second, for the training with all options."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 4)
        self.bn = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(p=0.0)
        self.fc = nn.Dense(4, CLASSES)

    def construct(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(ms.ops.mean(ms.ops.relu(self.bn(self.conv(x))), (2, 3))))


def build_small() -> Small:
    """Return the small network with the tests' weights."""
    network = Small()
    set_weights(network)
    return network.set_train()


def batches(folder: str, rank: int, size: int, config: Config | None = None) -> ms.dataset.Dataset:
    """Return the batches that training gives to a rank; to be read before those of another rank are made."""
    if config is None:
        return create_dataset(folder, True, BATCH, size, rank, image_size=71, seed=5).take(STEPS)
    return create_dataset(
        folder, True, BATCH, size, rank, image_size=71, seed=5, augmentation=build_augmentation(config),
        micro_batches=config.gradient_accumulation,
    ).take(OPTIONS_STEPS)  # fmt: skip


def evaluate(images: int, group: Group) -> np.ndarray:
    """Evaluate some images with a small network; return the figures as one array."""
    random = np.random.default_rng(images)
    logits, labels = random.normal(size=(images, 7)).astype(np.float32), random.integers(0, 7, images)
    own = slice(group.rank, None, group.size)
    dataset = dataset_of(logits[own], labels[own], 2) if group.rank < images else None
    engine = by_mindspore(Logits(7), image_loss(configuration("--num_classes=7")), 2)
    result = counting.evaluate(engine, dataset, images, group)
    return np.array([result.images, result.loss, result.top_1, result.top_5, *result.confusion.ravel()])


def evaluate_classes(train_folder: str, group: Group) -> np.ndarray:
    """Evaluate real images whose classes the model numbers in another way; return the figures as one array."""
    folder = Path(train_folder).with_name("val")
    config = configuration("--num_classes=4", "--image_size=71", f"--test_data_dir={folder}")
    model = ModelClasses("the model", len(CLASS_NAMES), CLASS_NAMES)
    evaluated = open_evaluation_set(config, open_images(str(folder)), model, group)
    engine = by_mindspore(Logits(len(CLASS_NAMES)), image_loss(config), config.batch_size)
    result = evaluate_test_images(config, engine, evaluated, group)
    return np.array([result.loss, result.top_1, *result.confusion.ravel()])


def refused_classes(train_folder: str, group: Group) -> str:
    """Let the ranks know the classes by different names, as with other files beside the weights; return the error."""
    names = ("0", "1", "2") if group.rank == 0 else ("1", "0", "2")
    try:
        open_evaluation_set(configuration(), open_images(train_folder), ModelClasses("the model", 3, names), group)
    except ValueError as error:
        return str(error)
    return ""


def values_of(rank: int) -> dict[str, np.ndarray]:
    """Return arrays to add up, different on every rank."""
    random = np.random.default_rng(rank)
    return {
        "int64": random.integers(-(2**62), 2**62, (3, 5)),
        "float64": random.normal(size=(4,)) * 10.0 ** random.integers(-200, 200, 4),
    }


def refusal(train_folder: str, group: Group) -> str:
    """Let the ranks look into different folders, as on machines with different copies; return the error."""
    folder = Path(train_folder).parent / ("train", "val")[group.rank]
    try:
        usable_images(configuration("--bad_images=skip"), open_images(str(folder)), group)
    except ValueError as error:
        return str(error)
    return ""


def with_options(optimizer: str) -> Config:
    """Return the configuration with all options on."""
    return configuration(*OPTIONS, *OF_PARTS, f"--optimizer={optimizer}")


def train_with_options(optimizer: str, folder: str, group: Group, library: Path | None = None) -> dict[str, np.ndarray]:
    """Train the small network with all options on; return its weights and their averages by name.

    Args:
        optimizer: Name of the optimizer.
        folder: The images.
        group: The ranks.
        library: Averages the gradients in the place of MindSpore, if given.
    """
    config = with_options(optimizer)
    network = build_small()
    averaged = follow(Small(), network)
    optimizer = build_optimizer(config, network, build_schedule(config, OPTIONS_STEPS))
    model = build_model(config, network, optimizer, averaged)
    if library:
        model.train_network.grad_reducer = SharedMemoryReducer(library, network.trainable_params())
    model.train(1, batches(folder, group.rank, group.size, config), dataset_sink_mode=False)
    return {p.name: p.asnumpy() for cell in (network, averaged) for p in cell.trainable_params()}


def overflows(group: Group) -> np.ndarray:
    """Let losses and gradients be finite on one rank or both; return whether each step is skipped, and the scale."""
    scaling = DynamicLossScale(1024.0, group.size)
    found = []
    for losses, gradients in FINITE:
        loss, gradient = (1.0 if is_finite[group.rank] else np.inf for is_finite in (losses, gradients))
        found.append(float(scaling(Tensor(np.float32(loss)), (Tensor(np.full(3, gradient, np.float32)),)).asnumpy()))
        found.append(float(scaling.value.asnumpy()))
    return np.array(found)


def main(folder: str, out: str, library: str) -> None:
    """Join the group, do everything once, and write what came out as `<out>/rank<r>.npz`."""
    config = configuration("--is_distributed=True")
    use_device(config)
    group = join_group(config)
    share_cores(Path(library), find_share(group))
    found = {name: sum_over_ranks(values, group) for name, values in values_of(group.rank).items()}
    found |= no_memory(config, Path(library), group)
    share_memory(config, Path(library), group)
    found["shares"] = np.array(shares_memory(Path(library)))
    share = find_share(group)
    found["threads"] = np.array(ctypes.CDLL(library).XceptionThreads())
    found["loader threads"] = np.array(share_threads(config, share, group).num_parallel_workers)
    given = configuration("--is_distributed=True", "--num_parallel_workers=1")
    found["given threads"] = np.array(share_threads(given, share, group).num_parallel_workers)
    parameters = [ms.Parameter(Tensor(value * (group.rank + 1)), name="p") for value in AVERAGED]
    average_over_ranks(parameters, group)
    found |= {f"averaged {number}": parameter.asnumpy() for number, parameter in enumerate(parameters)}
    found |= {f"evaluation {images}": evaluate(images, group) for images in IMAGES}

    found["refusal"] = np.array(refusal(folder, group))
    found["classes"] = evaluate_classes(folder, group)
    found["refused classes"] = np.array(refused_classes(folder, group))

    network = build_network()
    optimizer = build_optimizer(config, network, build_schedule(config, STEPS))
    model = build_model(config, network, optimizer, library=Path(library))
    model.train(1, batches(folder, group.rank, group.size), dataset_sink_mode=False)
    found |= {p.name: p.asnumpy() for p in network.trainable_params()}
    for optimizer in OPTIMIZERS:
        trained = train_with_options(optimizer, folder, group)
        found |= {f"all options {optimizer} {name}": value for name, value in trained.items()}
    trained = train_with_options(OPTIMIZERS[0], folder, group, Path(library))
    found |= {f"by memory {name}": value for name, value in trained.items()}
    found["overflows"] = overflows(group)
    np.savez(Path(out, f"rank{group.rank}.npz"), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.exit(leave(0))
