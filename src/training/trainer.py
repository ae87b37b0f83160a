"""Training: builds everything from a configuration, and runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mindspore as ms

from src.checkpoints.folder import checkpoint_folder
from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.names import BAD_IMAGES
from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState
from src.common.folder_lock import only_writer
from src.common.progress import Progress
from src.cpu.compile_once import CompileOnce, compiled_once
from src.cpu.operators import readable_failures
from src.data.image_limits import ImageLimits
from src.data.usable_images import UsableImages, write_bad_images
from src.dataset import readable_errors
from src.evaluation.counting import Result
from src.evaluation.evaluation_set import EvaluationSet, evaluate_test_images
from src.model_utils.config import Config
from src.model_utils.derived_settings import sinks_data
from src.model_utils.local_adapter import Group, copy_from_first
from src.training.class_weights import class_weights, describe_extremes
from src.training.describe import describe_run
from src.training.dropout import DropoutMasks, ReplayableDropout
from src.training.epoch_end import EpochEnd, Validation
from src.training.epochs import profiling, run_epochs
from src.training.fine_tuning import prepare_fine_tuning
from src.training.images import check_data, say_left_over, train_dataset
from src.training.line import is_here, open_line, owes_validation
from src.training.log import TrainingLog
from src.training.metrics import MetricsLog
from src.training.model import build_average, build_model, build_optimizer, build_schedule
from src.training.origin import Origin, settle_origin
from src.training.plan import TrainingPlan
from src.training.resume import Start, restore, say_done
from src.training.stop import StopOnSignal, StopSignal
from src.training.validation import settle_validation, validation_engine
from src.Xception import FEATURES, xception


@dataclass(frozen=True)
class _Training:
    """What the parts of a training follow from; `folder` is that of its checkpoints, `library` the operators in C++."""

    config: Config
    group: Group
    state: TrainingState
    plan: TrainingPlan
    start: Start
    folder: Path
    images: UsableImages
    library: Path | None = None
    class_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class _Outputs:
    """What a training leaves beside its log; nothing on all ranks but the first, which validate all the same."""

    validation: Validation | None
    metrics: MetricsLog | None
    keeper: CheckpointKeeper | None


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
    config, origin = settle_origin(settle_validation(config), group)
    train_images, test_images = check_data(config, group)
    new_dataset = partial(train_dataset, config, group, train_images)
    training = _build(config, group, new_dataset(Position()).get_dataset_size(), origin, train_images)
    is_done = training.start.position.epoch >= config.epoch_size
    owes = owes_validation(config, training.folder, training.start, group)
    if is_done and not (owes and is_here(training.start, training.folder)):
        say_done(config, training.start, owes=owes)
        return training.folder
    metadata = describe_run(config, group, train_images, origin, training.start, has_library=library is not None)
    training = replace(training, state=replace(training.state, metadata=metadata), library=library)
    masks = [] if sinks_data(config) else [_dropout_masks(training)]
    with _open_folder(training, test_images) as (metrics, keeper):
        validation = Validation(_evaluation(training, test_images, library), metrics, keeper) if test_images else None
        if validation and owes:
            validation.make_up(training.start.position, training.plan.rate_before(training.start.position))
        if not is_done:
            outputs = _Outputs(validation, metrics, keeper)
            with readable_failures(library), _compiled_once(training, owes) as compiling:
                _fit(training, new_dataset, [*masks, *compiling], outputs)
    return training.folder


def _fit(
    training: _Training,
    new_dataset: Callable[[Position], ms.dataset.Dataset],
    first: list[ms.train.Callback],
    outputs: _Outputs,
) -> None:
    """Train to the last epoch; `first` are callbacks that stand before all others."""
    config, state, plan, start = training.config, training.state, training.plan, training.start.position
    with (
        StopSignal() as stop,
        Progress(plan.images_after(start), "train", log_seconds=30) as progress,
        profiling(config, training.folder),
    ):
        model = build_model(
            config,
            state.network,
            state.optimizer,
            state.averaged,
            training.library,
            class_weights=training.class_weights,
        )
        log = TrainingLog(plan, config.log_steps, progress, outputs.metrics, config.num_classes)
        on_signal = StopOnSignal(stop, training.group, log, outputs.keeper, plan)
        epoch_end = EpochEnd(
            plan, log, on_signal, validation=outputs.validation, metrics=outputs.metrics, keeper=outputs.keeper
        )
        callbacks = [*first, log, on_signal, epoch_end]
        with readable_errors(training.images.source, ImageLimits.of(config), on_signal.save_finished):
            run_epochs(model, new_dataset, callbacks, config, start)


def _build(
    config: Config, group: Group, steps_per_epoch: int, origin: Origin | None, images: UsableImages
) -> _Training:
    """Build what is trained, with the weights and the momentum that training starts with."""
    ms.set_seed(config.seed)
    network = xception(config.num_classes)
    prepare_fine_tuning(config, network, origin, images.class_names)
    images_per_step = config.batch_size * config.gradient_accumulation * group.size
    plan = TrainingPlan(build_schedule(config, steps_per_epoch), steps_per_epoch, images_per_step)
    optimizer = build_optimizer(config, network, plan.schedule)
    state = TrainingState(network, optimizer, build_average(config, network))
    folder = checkpoint_folder(config)
    start = restore(config, state, steps_per_epoch, origin, group)
    weights = class_weights(config, images)
    if weights is not None and group.rank == 0:
        print(describe_extremes(weights, images.class_names), flush=True)
    return _Training(
        config=config,
        group=group,
        state=state,
        plan=plan,
        start=start,
        folder=folder,
        images=images,
        class_weights=weights,
    )


def _dropout_masks(training: _Training) -> DropoutMasks:
    """Give the network a dropout that a resumed run draws again, and return the callback that draws it."""
    config, network = training.config, training.state.network
    shape, seeds = (config.batch_size, FEATURES), (config.seed, training.group.rank)
    network.dropout = ReplayableDropout(network.dropout.p, shape, seeds, config.gradient_accumulation)
    return DropoutMasks(network.dropout, training.plan)


@contextmanager
def _open_folder(
    training: _Training, test_images: EvaluationSet | None
) -> Iterator[tuple[MetricsLog | None, CheckpointKeeper | None]]:
    """Keep the folder for this training, and begin its files; only the first rank writes any."""
    if training.group.rank != 0:
        yield None, None
        return
    config, folder, start = training.config, training.folder, training.start
    with only_writer(folder, "another training", "choose another --save_checkpoint_path"):
        print(f"configuration:\n{config.to_yaml()}", flush=True)
        say_left_over(config, training.plan, training.images, training.group)
        line = open_line(config, folder, training.images.class_names, start)
        for path in write_bad_images(
            folder / BAD_IMAGES, training.images, *([test_images.images] if test_images else [])
        ):
            print(f"the bad images are listed in {path}", flush=True)
        yield line.metrics, _keeper(training, line.best_top_1)


def _keeper(training: _Training, best_top_1: float) -> CheckpointKeeper | None:
    config = training.config
    if not config.save_checkpoint:
        return None
    keep = Keep(config.save_checkpoint_epochs, config.keep_checkpoint_max, last_epoch=config.epoch_size)
    return CheckpointKeeper(training.folder, training.state, keep, best_top_1)


def _compiled_once(training: _Training, is_second: bool) -> AbstractContextManager[list[CompileOnce]]:
    """Name all that the graph of a step follows from, and take it from the cache or keep it there.

    MindSpore counts the graphs of a process: the second one, after a validation, is no entry for a first one.
    """
    state, is_resumed = training.state, training.start.checkpoint is not None
    parameters = [*state.network.get_parameters(), *state.optimizer.get_parameters()]
    shapes = [(value.name, value.shape, str(value.dtype), value.requires_grad) for value in parameters]
    facts = [len(training.plan.schedule), is_resumed, is_second, training.library, state.network.pool_padding, shapes]
    facts.append(training.class_weights)
    return compiled_once(training.config, training.group, facts)


def _evaluation(training: _Training, images: EvaluationSet, library: Path | None) -> Callable[[], Result]:
    """Return the validation of what the first rank saves: batch norm's statistics are each rank's own."""
    config, group, state = training.config, training.group, training.state
    new_engine = validation_engine(config, state, library)
    statistics = [value for value in state.networks[-1].untrainable_params() if ".moving_" in value.name]

    def validate() -> Result:
        copy_from_first(statistics, group)
        with new_engine() as engine:
            return evaluate_test_images(config, engine, images, group)

    return validate
