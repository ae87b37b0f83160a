"""A dry run: some steps, a batch of validation and a checkpoint, and what the whole training would take by them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import mindspore as ms
import numpy as np

from src.checkpoints.names import checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.common.files import printable
from src.cpu.operators import readable_failures
from src.data.image_limits import ImageLimits
from src.dataset import readable_errors
from src.evaluation.counting import Engine, evaluate, share
from src.evaluation.evaluation_set import EvaluationSet, open_test_images
from src.model_utils.command import Interrupted
from src.model_utils.local_adapter import Group
from src.training.epochs import run_epochs
from src.training.folder import Training
from src.training.forecast import Measured, report, space_warning
from src.training.log import read_loss
from src.training.plan import TrainingPlan
from src.training.stop import StopSignal
from src.training.validation import validation_engine

STEPS = 4  # the first one compiles the network, the others are timed
_READING_SECONDS = 3.0


def dry_run(
    training: Training,
    model: ms.Model,
    new_dataset: Callable[[Position], ms.dataset.Dataset],
    first: list[ms.train.Callback],
    test_images: EvaluationSet | None,
) -> None:
    """Do a little of all that a training does, print what it took and what the whole would; leave nothing.

    Args:
        training: The training, which begins or goes on here.
        model: Its model.
        new_dataset: Returns the data set of a position.
        first: Callbacks that the steps need.
        test_images: Those of the validation, if there is one.

    Raises:
        ValueError: If an image cannot be read, or a loss or a logit is NaN or infinite.
        OSError: If the temporary folder has no room for a checkpoint.
        Interrupted: After a signal that came while the checkpoint was written, which has been removed.
    """
    config, start = training.config.replace(dataset_sink_mode=False), training.start.position
    clock = _Clock(training.plan)
    with (
        readable_failures(training.library),
        readable_errors(training.images.source, ImageLimits.of(config)),
    ):
        run_epochs(model, new_dataset, [*first, clock], config, start, has_ended=clock.is_over)
        reading = _read(training, new_dataset(start))
    validation = _validate(training, test_images) if test_images else None
    size, saving = _save(training) if config.save_checkpoint and training.group.rank == 0 else (0, None)
    timed = clock.seconds[1:]
    step = sum(timed) / len(timed) if timed else None
    measured = Measured(
        first_step=clock.seconds[0],
        step=step,
        reading=reading,
        validation=validation,
        saving=saving,
        checkpoint=size,
    )
    if training.group.rank == 0:
        for line in report(training, measured, test_images):
            print(printable(line), flush=True)
        if warning := space_warning(training, measured):
            print(printable(warning), file=sys.stderr, flush=True)


class _Clock(ms.train.Callback):
    """Times the first steps, until the device has their losses, and ends training after them.

    Attributes:
        seconds: Of each step, from the end of the one before it.
    """

    def __init__(self, plan: TrainingPlan):
        super().__init__()
        self.seconds: list[float] = []
        self._plan = plan
        self._last = time.monotonic()
        self._is_over = False

    def is_over(self) -> bool:
        """Tell whether all steps have been timed."""
        return self._is_over

    def on_train_epoch_begin(self, run_context: ms.train.RunContext) -> None:
        self._last = time.monotonic()

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        loss = read_loss(run_context.original_args().net_outputs)
        now = time.monotonic()
        self.seconds.append(now - self._last)
        self._last = now
        if not np.isfinite(loss):
            raise ValueError(
                f"the loss of step {len(self.seconds)} is {loss}: try a lower --lr_max or a longer warm-up"
            )
        if len(self.seconds) == STEPS or self._plan.is_done(self._plan.finished(run_context)):
            self._is_over = True
            run_context.request_stop()


def _read(training: Training, dataset: ms.dataset.Dataset) -> float:
    """Return how many images a second the input pipeline gives, with its start, over all processes."""
    begun, count = time.monotonic(), 0
    batches = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    for _ in batches:
        count += 1
        if time.monotonic() - begun > _READING_SECONDS:
            break
    seconds = time.monotonic() - begun
    batches.stop()
    return count * training.plan.images_per_step / seconds


def _validate(training: Training, test_images: EvaluationSet) -> float | None:
    """Validate a batch on each process; return its seconds, None where this process has no images."""
    config, group, images = training.config, training.group, test_images.images
    seconds: list[float] = []
    with (
        readable_errors(images.source, ImageLimits.of(config)),
        validation_engine(config, training.state, training.library)() as engine,
    ):
        dataset = open_test_images(config, images, group, normalize=not engine.normalizes)
        shares = [share(images.count, Group(rank, group.size)) for rank in range(group.size)]
        count = sum(min(each, config.batch_size) for each in shares)
        evaluate(
            _timed(engine, seconds), dataset.take(1) if dataset else None, count, group, test_images.classes.labels
        )
    return seconds[0] if seconds else None


def _timed(engine: Engine, seconds: list[float]) -> Engine:
    """Return an engine that computes each batch once more and notes the seconds: the first time compiles."""

    def run(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        engine.run(image, label)
        begun = time.monotonic()
        result = engine.run(image, label)
        seconds.append(time.monotonic() - begun)
        return result

    return replace(engine, run=run)


def _save(training: Training) -> tuple[int, float]:
    """Write a checkpoint and remove it, whatever signal comes; return its bytes and the seconds."""
    with StopSignal() as stop:
        stop.catch()
        with TemporaryDirectory(prefix="xception-dry-run-") as folder:
            path = Path(folder) / checkpoint_name(training.start.position)
            begun = time.monotonic()
            save_training(path, training.state, training.start.position)
            size, seconds = path.stat().st_size, time.monotonic() - begun
        if stop.received:
            raise Interrupted(f"stopped by {stop.received.name}; the dry run has left nothing", stop.received)
    return size, seconds
