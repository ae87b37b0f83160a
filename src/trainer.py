"""Training: builds everything from a configuration, and runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from src.builders import amp_level, build_model, build_optimizer, build_schedule
from src.callbacks import (
    BEST_CHECKPOINT,
    METRICS,
    CheckpointKeeper,
    DropoutMasks,
    EpochEnd,
    TrainingLog,
)
from src.checkpoint import Position, load_training, numbered_checkpoints, set_global_step
from src.dataset import check_folder, create_dataset, readable_errors
from src.dropout import ReplayableDropout
from src.evaluator import evaluation
from src.files import atomic_write, move_aside
from src.metrics_log import MetricsLog
from src.model_utils.config import Config, ConfigError
from src.model_utils.local_adapter import Group
from src.progress import Progress
from src.report import CURVES
from src.Xception import FEATURES, Xception, xception

CLASS_NAMES = "class_names.txt"
CONFIG = "config.yaml"


def train(config: Config, group: Group) -> Path:
    """Train Xception as the configuration says.

    Args:
        config: The configuration; the device is set already.
        group: The processes that train together.

    Returns:
        The folder of the checkpoints.

    Raises:
        ValueError: If an option, the data or the checkpoint to resume from does not fit.
        OSError: If a file cannot be written.
    """
    names, test_images = _check_data(config, group)
    new_dataset = partial(_train_dataset, config, group)
    steps_per_epoch = new_dataset(Position()).get_dataset_size()
    ms.set_seed(config.seed)
    network = xception(config.num_classes)
    schedule = build_schedule(config, steps_per_epoch)
    optimizer = build_optimizer(config, network, schedule)
    start = _restore(config, network, optimizer, steps_per_epoch)
    folder = checkpoint_folder(config, group.rank)
    is_writer = group.rank == 0
    if is_writer:
        print(f"configuration:\n{config.to_yaml()}", flush=True)
        _prepare_folder(folder, config, names, start)

    sink = config.dataset_sink_mode and config.device_target != "CPU"
    callbacks: list[ms.train.Callback] = []
    if not sink:
        network.dropout = ReplayableDropout(network.dropout.p, (config.batch_size, FEATURES), (config.seed, group.rank))
        callbacks.append(DropoutMasks(network.dropout, steps_per_epoch))
    model = build_model(config, network, optimizer)
    images_per_step = config.batch_size * group.size
    left = (len(schedule) - start.global_step) * images_per_step
    with Progress(left, "train", log_seconds=30) as progress, _profiling(config, folder):
        metrics = MetricsLog(folder / METRICS, start.global_step) if is_writer else None
        log = TrainingLog(schedule, steps_per_epoch, images_per_step, config.log_steps, progress, metrics)
        callbacks.append(log)
        if metrics:
            validate = evaluation(config, network, test_images) if config.eval_while_train else None
            keeper = _build_keeper(config, folder, network, optimizer)
            callbacks.append(EpochEnd(log, metrics, start, validate, keeper))
        with readable_errors(config.train_data_dir):
            _run(model, new_dataset, start, config.epoch_size, callbacks, sink)
    return folder


def checkpoint_folder(config: Config, rank: int) -> Path:
    """Return the folder of a process's checkpoints, as the reference names it.

    Args:
        config: With `save_checkpoint_path`, the device and its precision.
        rank: Rank of the process.

    Returns:
        Below the path: `ckpt_<rank>` on Ascend, `fp16|fp32/model_<rank>` on GPU, `model_<rank>` on CPU.
    """
    base = Path(config.save_checkpoint_path)
    if config.device_target == "Ascend":
        return base / f"ckpt_{rank}"
    if config.device_target == "GPU":
        return base / ("fp32" if amp_level(config) == "O0" else "fp16") / f"model_{rank}"
    return base / f"model_{rank}"


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


def _check_data(config: Config, group: Group) -> tuple[list[str], int]:
    """Check the folders of a training; return the class names and the number of test images, 0 without validation."""
    names, _ = check_folder(config.train_data_dir, config.num_classes, config.batch_size, group.size)
    test_images = 0
    if config.eval_while_train:
        test_names, test_images = check_folder(config.test_data_dir, config.num_classes)
        different = sorted(set(names) ^ set(test_names))
        if different:
            raise ConfigError(
                f"class folder {different[0]} is in only one of {config.train_data_dir} and {config.test_data_dir}: "
                f"both need the same classes"
            )
    return names, test_images


def _train_dataset(config: Config, group: Group, position: Position) -> ms.dataset.Dataset:
    """Return the images of the epoch of a position, without the batches that are done."""
    seed = np.random.SeedSequence((config.seed, position.epoch)).generate_state(1)[0]
    return create_dataset(
        config.train_data_dir,
        True,
        config.batch_size,
        group.size,
        group.rank,
        config.image_size,
        config.num_parallel_workers or None,
        int(seed),
        position.step,
        config.crop_min_area,
        config.flip_probability,
    )


def _restore(config: Config, network: Xception, optimizer: nn.Optimizer, steps_per_epoch: int) -> Position:
    """Load the checkpoint to resume from, if any, and return where training starts."""
    start = Position(config.finish_epoch, 0, steps_per_epoch)
    if config.finish_epoch and not config.resume:
        raise ConfigError(f"finish_epoch is {config.finish_epoch}, but no checkpoint is given: add --resume CKPT")
    if config.resume:
        position, has_momentum = load_training(network, optimizer, config.resume)
        if position and position.steps_per_epoch == steps_per_epoch:
            start = position
            print(f"resuming {config.resume} after epoch {start.epoch}, step {start.step}", flush=True)
        elif position:
            start = Position(position.epoch, 0, steps_per_epoch, position.best_top_1)
            print(
                f"resuming {config.resume} after epoch {start.epoch}, not exactly: it was written at "
                f"{position.steps_per_epoch} steps an epoch, this run has {steps_per_epoch}",
                flush=True,
            )
        else:
            what = "weights and momentum" if has_momentum else "weights only"
            print(
                f"warm start from {config.resume}: it holds {what} and no position; training starts after epoch "
                f"{start.epoch} (--finish_epoch)",
                flush=True,
            )
    if start.epoch >= config.epoch_size:
        raise ConfigError(
            f"nothing to train: {start.epoch} of {config.epoch_size} epochs are done; raise --epoch_size to go on"
        )
    set_global_step(optimizer, start.global_step)
    return start


def _prepare_folder(folder: Path, config: Config, names: list[str], start: Position) -> None:
    """Move an earlier run's files aside, unless it is this one that goes on, and write what describes the run."""
    continued = start.global_step > 0 and Path(config.resume).resolve().parent == folder.resolve()
    numbered = numbered_checkpoints(folder, 0)
    if continued:
        resumed = Path(config.resume).name
        known = [path.name for path in numbered]
        stale = numbered[known.index(resumed) + 1 :] if resumed in known else []
    else:
        stale = numbered + [folder / name for name in (METRICS, CURVES, BEST_CHECKPOINT, CLASS_NAMES, CONFIG)]
    aside = move_aside(stale, folder)
    if aside:
        print(f"files of an earlier run are in {aside} now", flush=True)
    atomic_write(folder / CLASS_NAMES, "".join(f"{name}\n" for name in names))
    atomic_write(folder / CONFIG, config.to_yaml())


def _build_keeper(config: Config, folder: Path, network: Xception, optimizer: nn.Optimizer) -> CheckpointKeeper | None:
    if not config.save_checkpoint:
        return None
    return CheckpointKeeper(
        folder, 0, network, optimizer, config.save_checkpoint_epochs, config.keep_checkpoint_max, config.epoch_size
    )


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
