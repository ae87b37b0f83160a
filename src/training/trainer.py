"""Training: builds everything from a configuration, and runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from src.checkpoints.folder import checkpoint_folder, prepare_folder
from src.checkpoints.keeper import RANK, CheckpointKeeper
from src.checkpoints.names import METRICS
from src.checkpoints.weights import Position
from src.common.folder_lock import only_writer
from src.common.progress import Progress
from src.cpu.compile_cache import CompileCache, cache_folder, graph_key
from src.cpu.operators import use_cpu_operators
from src.data.usable_images import UsableImages, usable_images, write_bad_images
from src.dataset import create_dataset, readable_errors
from src.evaluation.counting import Result
from src.evaluation.engines import by_mindspore, image_loss
from src.evaluation.evaluation_set import evaluate_test_images
from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import sinks_data, to_evaluation_precision, workers
from src.model_utils.local_adapter import Group, copy_from_first
from src.training.callbacks import CompileOnce, DropoutMasks, EpochEnd, StopOnSignal
from src.training.dropout import ReplayableDropout
from src.training.fine_tuning import prepare_fine_tuning
from src.training.log import TrainingLog
from src.training.metrics import MetricsLog
from src.training.model import build_augmentation, build_average, build_model, build_optimizer, build_schedule
from src.training.resume import restore
from src.training.stop import StopSignal
from src.Xception import FEATURES, Xception, xception


def train(config: Config, group: Group, library: Path | None = None) -> Path:
    """Train Xception as the configuration says.

    Args:
        config: The configuration; the device is set already.
        group: The processes that train together.
        library: The operators in C++, as build_cpu_library returns them; None for MindSpore's.

    Returns:
        The folder of the checkpoints.

    Raises:
        ValueError: If an option, the data or the checkpoint to resume from does not fit.
        OSError: If a file cannot be written.
        Interrupted: After SIGTERM or SIGINT, with the checkpoint of the last step written.
    """
    train_images, test_images = _check_data(config, group)
    new_dataset = partial(_train_dataset, config, group, train_images.excluded)
    steps_per_epoch = new_dataset(Position()).get_dataset_size()
    ms.set_seed(config.seed)
    network = xception(config.num_classes)
    prepare_fine_tuning(config, network)
    schedule = build_schedule(config, steps_per_epoch)
    optimizer = build_optimizer(config, network, schedule)
    averaged = build_average(config, network)
    folder = checkpoint_folder(config, RANK)
    start = restore(config, network, optimizer, steps_per_epoch, folder, group, averaged)
    if start.position.epoch >= config.epoch_size:
        print(f"all {config.epoch_size} epochs are done already", flush=True)
        return folder
    if library:
        for each in filter(None, (network, averaged)):
            use_cpu_operators(each, library)

    sink = sinks_data(config)
    images_per_step = config.batch_size * config.gradient_accumulation * group.size
    left = (len(schedule) - start.position.global_step) * images_per_step
    with ExitStack() as stack:
        metrics = keeper = None
        if group.rank == RANK:
            stack.enter_context(only_writer(folder, "another training", "choose another --save_checkpoint_path"))
            print(f"configuration:\n{config.to_yaml()}", flush=True)
            prepare_folder(folder, config, train_images.class_names, start.checkpoint)
            for path in write_bad_images(folder, train_images, *filter(None, [test_images])):
                print(f"the bad images are listed in {path}", flush=True)
            metrics = MetricsLog(folder / METRICS, start.position.global_step)
            keeper = _build_keeper(config, folder, network, optimizer, start.position.best_top_1, averaged)
        stop = stack.enter_context(StopSignal())
        progress = stack.enter_context(Progress(left, "train", log_seconds=30))
        stack.enter_context(_profiling(config, folder))
        stack.enter_context(readable_errors(config.train_data_dir))
        callbacks = _dropout_masks(config, network, group, steps_per_epoch) if not sink else []
        facts = [len(schedule), start.checkpoint is not None, library]
        cache = _compile_cache(config, network, optimizer, group, facts)
        if cache:
            stack.callback(cache.discard)
            callbacks.append(CompileOnce(cache))
        model = build_model(config, network, optimizer, averaged)
        log = TrainingLog(
            schedule, steps_per_epoch, images_per_step, config.log_steps, progress, metrics, config.num_classes
        )
        validate = None
        if test_images:
            evaluated = to_evaluation_precision(config, averaged) if averaged else network
            validate = _validation(config, evaluated, test_images, group)
        on_signal = StopOnSignal(stop, group, log, keeper, steps_per_epoch)
        callbacks += [log, on_signal, EpochEnd(log, on_signal, steps_per_epoch, validate, metrics, keeper)]
        _run(model, new_dataset, start.position, config.epoch_size, callbacks, sink)
    return folder


def _dropout_masks(config: Config, network: Xception, group: Group, steps_per_epoch: int) -> list[ms.train.Callback]:
    """Give the network a dropout that a resumed run draws again, and return the callback that draws it."""
    shape, seeds = (config.batch_size, FEATURES), (config.seed, group.rank)
    network.dropout = ReplayableDropout(network.dropout.p, shape, seeds, config.gradient_accumulation)
    return [DropoutMasks(network.dropout, steps_per_epoch)]


def _compile_cache(
    config: Config, network: Xception, optimizer: nn.Optimizer, group: Group, facts: Sequence[object]
) -> CompileCache | None:
    """Return the cache of the step's graph, None where there is none: tried on CPU, in one process, only."""
    folder = cache_folder(config.compile_cache)
    if folder is None or config.device_target != "CPU" or group.size > 1:
        return None
    parameters = [*network.get_parameters(), *optimizer.get_parameters()]
    shapes = [(value.name, value.shape, str(value.dtype), value.requires_grad) for value in parameters]
    return CompileCache(folder, graph_key(config, [*facts, network.pool_padding, shapes]))


def _validation(config: Config, network: nn.Cell, images: UsableImages, group: Group) -> Callable[[], Result]:
    """Return the evaluation of what the first rank saves: batch norm's statistics are each rank's own."""
    engine = by_mindspore(network, image_loss(config), config.batch_size)
    statistics = [value for value in network.untrainable_params() if ".moving_" in value.name]

    def validate() -> Result:
        copy_from_first(statistics, group)
        return evaluate_test_images(config, engine, images, group)

    return validate


def _run(
    model: ms.Model,
    new_dataset: Callable[[Position], ms.dataset.Dataset],
    start: Position,
    epochs: int,
    callbacks: list[ms.train.Callback],
    sink: bool,
) -> None:
    """Train from a position to the last epoch.

    Each epoch has a data set of its own, so that its images depend on seed and epoch alone and a resumed run sees the
    same ones. A sinking device is compiled for its data set, and so keeps one for all whole epochs.
    """
    position = start
    while position.epoch < epochs:
        last = epochs if sink and not position.step else position.epoch + 1
        model.train(last, new_dataset(position), callbacks, sink, initial_epoch=position.epoch)
        position = Position(last)


def _check_data(config: Config, group: Group) -> tuple[UsableImages, UsableImages | None]:
    """Check the folders of a training; return its images, and those of its validation if there is one."""
    train_images = usable_images(
        config, config.train_data_dir, group, config.batch_size, group.size, config.gradient_accumulation
    )
    test_images = None
    if config.eval_while_train:
        test_images = usable_images(config, config.test_data_dir, group)
        different = sorted(set(train_images.class_names) ^ set(test_images.class_names))
        if different:
            raise ConfigError(
                f"class folder {different[0]} is in only one of {config.train_data_dir} and {config.test_data_dir}: "
                f"both need the same classes"
            )
    return train_images, test_images


def _train_dataset(config: Config, group: Group, excluded: tuple[str, ...], position: Position) -> ms.dataset.Dataset:
    """Return the images of the epoch of a position, without the batches that are done."""
    seed = np.random.SeedSequence((config.seed, position.epoch)).generate_state(1)[0]
    return create_dataset(
        config.train_data_dir,
        True,
        config.batch_size,
        group.size,
        group.rank,
        config.image_size,
        workers(config),
        int(seed),
        position.step,
        config.crop_min_area,
        config.flip_probability,
        excluded,
        build_augmentation(config),
        config.gradient_accumulation,
        normalize=False,
    )


def _build_keeper(
    config: Config,
    folder: Path,
    network: Xception,
    optimizer: nn.Optimizer,
    best_top_1: float,
    averaged: Xception | None,
) -> CheckpointKeeper | None:
    if not config.save_checkpoint:
        return None
    every, keep = config.save_checkpoint_epochs, config.keep_checkpoint_max
    return CheckpointKeeper(folder, network, optimizer, every, keep, config.epoch_size, best_top_1, averaged)


@contextmanager
def _profiling(config: Config, folder: Path) -> Iterator[None]:
    """Write MindSpore's profile of the block, if the configuration asks for it."""
    if not config.enable_profiling:
        yield
        return
    profiler = ms.Profiler(output_path=str(folder / "profile"))
    try:
        yield
    finally:
        profiler.analyse()
