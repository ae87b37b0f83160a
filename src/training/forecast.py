"""What a whole training would take, by what a dry run has measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mindspore as ms

from src.checkpoints.position import Position
from src.common.counted import counted
from src.common.progress import format_duration
from src.common.resources import free_space, peak_memory
from src.evaluation.counting import share
from src.evaluation.evaluation_set import EvaluationSet
from src.training.folder import Training, keep_of
from src.training.validation import validates_after


@dataclass(frozen=True)
class Measured:
    """What a dry run has measured; None where there was nothing to measure.

    Args:
        first_step: Seconds of the first step, with the compilation.
        step: Mean seconds of the steps after it, with the wait for their images.
        reading: Images that the input pipeline gives in a second while nothing is trained, over all processes.
        validation: Seconds of a batch of validation.
        saving: Seconds for a checkpoint.
        checkpoint: Its bytes.
    """

    first_step: float
    step: float | None
    reading: float
    validation: float | None
    saving: float | None
    checkpoint: int


def report(training: Training, measured: Measured, test_images: EvaluationSet | None) -> Iterator[str]:
    """Yield what a dry run found, and what the whole training would take.

    Args:
        training: The training, from where it begins or goes on.
        measured: What the dry run has measured.
        test_images: Those of the validation, if there is one.
    """
    images = training.plan.images_per_step
    yield f"first step: {measured.first_step:.1f} s, with the compilation"
    if measured.step:
        yield (
            f"speed: {images / measured.step:.1f} images/s in the steps after it, {measured.step:.3f} s each; images "
            f"alone are read at {measured.reading:.1f}/s"
        )
    yield f"memory: {_memory(training.config.device_target)}"
    validating = 0.0
    if test_images and measured.validation is not None:
        batches = -(-share(test_images.images.count, training.group) // training.config.batch_size)
        each, times = batches * measured.validation, _validations(training)
        validating = each * times
        yield (
            f"validation: {measured.validation:.3f} s a batch, {format_duration(each)} for "
            f"{counted(test_images.images.count, 'image')}, {counted(times, 'time')}"
        )
    saving = 0.0
    if measured.saving is not None:
        saving = _saves(training) * measured.saving
        yield f"checkpoint: {measured.checkpoint / 1e6:.1f} MB, written in {measured.saving:.2f} s"
        kept = counted(_kept(training), "checkpoint")
        yield (
            f"disk: {_needed(training, measured) / 1e6:.1f} MB at most, for {kept} and one being written; "
            f"{free_space(training.folder) / 1e6:.1f} MB are free for {training.folder}"
        )
    yield _forecast(training, measured, validating, saving)


def space_warning(training: Training, measured: Measured) -> str | None:
    """Return a warning where the disk has no room for the checkpoints."""
    needed, free = _needed(training, measured), free_space(training.folder)
    if needed <= free:
        return None
    return (
        f"warning: the checkpoints need up to {needed / 1e6:.1f} MB, and the disk of {training.folder} has "
        f"{free / 1e6:.1f} MB left: make room, choose another --save_checkpoint_path, or keep fewer by "
        "--keep_checkpoint_max"
    )


def _forecast(training: Training, measured: Measured, validating: float, saving: float) -> str:
    plan = training.plan
    steps = len(plan.schedule) - training.start.position.global_step
    if measured.step is None:
        return "forecast: none, as the only step of this training is the one that compiles"
    # Where the pipeline is the slower one, the first steps took what it had in store.
    step = max(measured.step, plan.images_per_step / measured.reading)
    whole = measured.first_step + (steps - 1) * step + validating + saving
    epochs = counted(len(_ends(training)), "epoch")
    return (
        f"forecast: {format_duration(whole)} for {counted(steps, 'step')} in {epochs}, of which "
        f"{format_duration(validating)} are validation and {format_duration(saving)} checkpoints"
    )


def _memory(device: str) -> str:
    """Return how much memory this process took at most, of the machine and of the device."""
    host = peak_memory()
    said = f"{host / 1e9:.2f} GB at most in this process" if host else "not told by this system"
    return said if device == "CPU" else f"{said}, {ms.runtime.max_memory_reserved() / 1e9:.2f} GB on the device"


def _ends(training: Training) -> list[Position]:
    """Return the ends of the epochs that are left."""
    epochs = range(training.start.position.epoch + 1, training.config.epoch_size + 1)
    return [Position(epoch, 0, training.plan.steps_per_epoch) for epoch in epochs]


def _validations(training: Training) -> int:
    config = training.config
    return sum(validates_after(config, end) for end in _ends(training)) if config.eval_while_train else 0


def _saves(training: Training) -> int:
    """Return how many checkpoints are written at most: by epochs and steps, and two where a validation is the best."""
    keep, steps = keep_of(training.config), len(training.plan.schedule) - training.start.position.global_step
    by_epochs = sum(keep.takes_epoch(end.epoch) for end in _ends(training))
    by_steps = steps // keep.steps if keep.steps else 0
    return by_epochs + by_steps + 2 * _validations(training)


def _kept(training: Training) -> int:
    """Return how many checkpoints there are at most: the newest, and the best."""
    config = training.config
    return min(_saves(training), config.keep_checkpoint_max) + config.eval_while_train


def _needed(training: Training, measured: Measured) -> int:
    return (_kept(training) + 1) * measured.checkpoint
