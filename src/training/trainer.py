"""Training: builds everything from a configuration, and runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mindspore as ms

from src.checkpoints.folder import checkpoint_folder
from src.checkpoints.keeper import CheckpointKeeper
from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState
from src.common.progress import Progress
from src.cpu.operators import readable_failures
from src.data.image_limits import ImageLimits
from src.data.usable_images import UsableImages
from src.dataset import readable_errors
from src.evaluation.counting import Result
from src.evaluation.evaluation_set import EvaluationSet, evaluate_test_images
from src.model_utils.config import Config
from src.model_utils.derived_settings import images_per_step, rate_scale, sinks_data
from src.model_utils.local_adapter import Group
from src.training.batch_norm import RankStatistics, synchronize
from src.training.class_weights import class_weights, describe_extremes
from src.training.describe import describe_run
from src.training.dropout import DropoutMasks, ReplayableDropout
from src.training.dry_run import dry_run
from src.training.early_stopping import resume_stopping, say_stopped
from src.training.epoch_end import EpochEnd, Validation
from src.training.epochs import run_epochs
from src.training.fine_tuning import prepare_fine_tuning
from src.training.first_batch import read_first_batch
from src.training.folder import Training, open_folder, print_summary
from src.training.images import check_data, train_dataset
from src.training.line import is_here, owes_validation
from src.training.log import TrainingLog
from src.training.metrics import MetricsLog
from src.training.model import (
    build_average,
    build_loss_scale,
    build_model,
    build_optimizer,
    build_schedule,
    settle_steps,
)
from src.training.more_epochs import add_epochs
from src.training.options import check_options, say_notes
from src.training.origin import Origin, settle_origin
from src.training.plan import TrainingPlan
from src.training.profiling import profiling
from src.training.resume import restore, say_done
from src.training.show_batch import show_batch
from src.training.step_end import StepEnd
from src.training.stop import StopOnSignal, StopSignal
from src.training.validation import settle_validation, validation_engine
from src.Xception import FEATURES, xception

_LOGGED_IMAGES = 8  # in a picture of training images


@dataclass(frozen=True)
class _Outputs:
    """What a training leaves beside its log; nothing on all ranks but the first, which validate all the same."""

    validation: Validation | None
    metrics: MetricsLog | None
    keeper: CheckpointKeeper | None


def train(config: Config, group: Group, library: Path | None = None) -> Path | None:
    """Train Xception as the configuration says, or with `show_batch` or `dry_run` tell what that would be.

    Args:
        config: The configuration; the device is set already.
        group: The processes that train together.
        library: The operators in C++, as build_cpu_library returns them; None for MindSpore's.

    Returns:
        The folder of the checkpoints; None where nothing was to be trained.

    Raises:
        ValueError: If an option, the data or the checkpoint to resume from does not fit.
        OSError: If a file cannot be written.
        Interrupted: After SIGTERM or SIGINT, with the checkpoint of the last step written.
    """
    config = settle_validation(config)
    check_options(config)
    config, origin = settle_origin(config, group)
    config = add_epochs(config, origin)
    train_images, test_images = check_data(config, group)
    say_notes(config, group)
    new_dataset = partial(train_dataset, config, group, train_images)
    steps_per_epoch = new_dataset(Position()).get_dataset_size()
    config = settle_steps(config, steps_per_epoch)
    training = _build(config, group, steps_per_epoch, origin, train_images)
    is_done = training.plan.is_done(training.start.position)
    owes = owes_validation(config, training.folder, training.start, group)
    stopping = resume_stopping(config, training.folder, training.start, group, owes=owes)
    if not (is_done or owes) and stopping.is_over():
        say_stopped(config, stopping, training.start)
        return training.folder
    is_trial = bool(config.show_batch or config.dry_run)
    if is_done and (is_trial or not (owes and is_here(training.start, training.folder))):
        say_done(config, training.start, owes=owes)
        return training.folder
    if config.show_batch:
        show_batch(training, new_dataset(training.start.position))
        return None
    metadata = describe_run(config, group, train_images, origin, training.start, has_library=library is not None)
    training = replace(training, state=replace(training.state, metadata=metadata), library=library)
    masks: list[ms.train.Callback] = [] if sinks_data(config) else [_dropout_masks(training)]
    if config.dry_run:
        print_summary(training, origin, test_images)
        dry_run(training, _model(training), new_dataset, masks, test_images)
        return None
    with open_folder(training, origin, test_images) as (metrics, keeper, events):
        validation = None
        if test_images:
            evaluate = _evaluation(training, test_images, library)
            validation = Validation(evaluate, metrics, keeper, config, stopping)
        if validation and owes:
            validation.make_up(training.start.position, training.plan.rate_before(training.start.position))
        if not is_done and not (owes and stopping.is_over()):
            outputs = _Outputs(validation, metrics, keeper)
            if events:
                first = read_first_batch(training, new_dataset(training.start.position))
                events.add_images(training.start.position.global_step + 1, first.draw(_LOGGED_IMAGES))
            with readable_failures(library):
                print("begin train", flush=True)
                _fit(training, new_dataset, masks, outputs)
                print("train success", flush=True)
    return training.folder


def _fit(
    training: Training,
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
        model = _model(training)
        log = TrainingLog(plan, config.log_steps, progress, outputs.metrics, config.num_classes, scaling=state.scaling)
        statistics = RankStatistics(state, training.group)
        on_signal = StopOnSignal(stop, training.group, log, outputs.keeper, plan, statistics=statistics)
        epoch_end = EpochEnd(
            plan,
            log,
            on_signal,
            statistics,
            validation=outputs.validation,
            metrics=outputs.metrics,
            keeper=outputs.keeper,
        )
        step_end = StepEnd(plan, config.save_checkpoint_steps, log, statistics, outputs.keeper)
        callbacks = [*first, log, on_signal, step_end, epoch_end]
        with readable_errors(training.images.source, ImageLimits.of(config), on_signal.save_finished):
            run_epochs(model, new_dataset, callbacks, config, start, has_ended=epoch_end.is_over)


def _model(training: Training) -> ms.Model:
    state = training.state
    return build_model(
        training.config,
        state.network,
        state.optimizer,
        state.averaged,
        scaling=state.scaling,
        library=training.library,
        class_weights=training.class_weights,
    )


def _build(config: Config, group: Group, steps_per_epoch: int, origin: Origin | None, images: UsableImages) -> Training:
    """Build what is trained, with the weights and the momentum that training starts with."""
    ms.set_seed(config.seed)
    network = xception(config.num_classes, dropout_rate=config.dropout_rate)
    prepare_fine_tuning(config, network, origin, images.class_names)
    if config.sync_bn and group.size > 1:
        synchronize(network)
    schedule = build_schedule(config, steps_per_epoch, rate_scale(config, group.size))
    plan = TrainingPlan(schedule, steps_per_epoch, images_per_step(config, group.size))
    optimizer = build_optimizer(config, network, plan.schedule)
    scaling = build_loss_scale(config, group.size)
    state = TrainingState(network, optimizer, build_average(config, network), scaling=scaling)
    folder = checkpoint_folder(config)
    start = restore(config, state, steps_per_epoch, origin, group)
    weights = class_weights(config, images)
    if weights is not None and group.rank == 0:
        print(describe_extremes(weights, images.class_names), flush=True)
    return Training(
        config=config,
        group=group,
        state=state,
        plan=plan,
        start=start,
        folder=folder,
        images=images,
        class_weights=weights,
    )


def _dropout_masks(training: Training) -> DropoutMasks:
    """Give the network a dropout that a resumed run draws again, and return the callback that draws it."""
    config, network = training.config, training.state.network
    shape, seeds = (config.batch_size, FEATURES), (config.seed, training.group.rank)
    network.dropout = ReplayableDropout(network.dropout.p, shape, seeds, config.gradient_accumulation)
    return DropoutMasks(network.dropout, training.plan)


def _evaluation(training: Training, images: EvaluationSet, library: Path | None) -> Callable[[], Result]:
    """Return the validation of what has just been trained, whose statistics all ranks have in common by then."""
    config, group = training.config, training.group
    new_engine = validation_engine(config, training.state, library)

    def validate() -> Result:
        with new_engine() as engine:
            return evaluate_test_images(config, engine, images, group)

    return validate
