"""The first lines of a training: on what data, with which network, device, batch, rate and steps."""

from __future__ import annotations

from collections.abc import Iterator

from src.common.counted import counted
from src.data.usable_images import UsableImages
from src.evaluation.evaluation_set import EvaluationSet
from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level, workers
from src.model_utils.local_adapter import Group
from src.training.origin import Origin
from src.training.plan import TrainingPlan


def summarize(
    config: Config,
    group: Group,
    plan: TrainingPlan,
    images: tuple[UsableImages, EvaluationSet | None],
    origin: Origin | None,
    *,
    has_library: bool,
) -> Iterator[str]:
    """Yield the lines that tell what is about to be trained.

    Args:
        config: The configuration.
        group: The processes that train together.
        plan: The steps of the training.
        images: Those of training, and of the validation if there is one.
        origin: The checkpoint that training begins with; None for random weights.
        has_library: Whether the operators in C++ are used.
    """
    train, validation = images
    classes, side = config.num_classes, config.image_size
    where = "its images, held out" if config.validation_split else config.test_data_dir
    validated = f"{validation.images.count} of {where}" if validation else "none (--eval_while_train)"
    yield f"data: {train.count} images in {classes} classes of {config.train_data_dir}; validation: {validated}"
    if config.sampler == "balanced":
        counts = train.source.counts(train.excluded).values()
        each = f"{train.count // len(counts):,} of each class, which have {min(counts):,} to {max(counts):,}"
        yield f"sampler balanced: {train.count:,} images are drawn in an epoch, {each}"
    weights = "random weights" if origin is None else f"weights of {origin.path}"
    yield f"model: Xception, {classes} classes, images of {side} x {side}, {weights}"
    operators = ", operators in C++" if has_library else ""
    processes = counted(group.size, "process", "processes")
    yield (
        f"device: {config.device_target}, {processes}, {amp_level(config)}{operators}, {workers(config)} "
        "threads for images"
    )
    yield f"batch: {plan.images_per_step} images a step{_factors(config, group)}"
    rates = f"{plan.schedule[0]:.3g} at first, at most {plan.schedule.max():.3g}, {plan.schedule[-1]:.3g} at last"
    yield f"learning rate: {rates} ({config.lr_decay_mode}, {config.optimizer})"
    left = train.count - plan.steps_per_epoch * plan.images_per_step
    are = "is" if left == 1 else "are"
    out = f"; {counted(left, 'image')} {are} left out of each, others each time" if left > 0 else ""
    yield f"steps: {len(plan.schedule)} in {counted(config.epoch_size, 'epoch')} of {plan.steps_per_epoch}{out}"


def _factors(config: Config, group: Group) -> str:
    """Return what the images of a step are the product of, "" for one batch."""
    factors = [f"{config.batch_size} a batch"]
    factors += [f"{config.gradient_accumulation} batches"] if config.gradient_accumulation > 1 else []
    factors += [f"{group.size} processes"] if group.size > 1 else []
    return f" ({' x '.join(factors)})" if len(factors) > 1 else ""
