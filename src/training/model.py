"""The parts of a run that follow from its configuration: precision, loss, schedule, optimizer, model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from src.cpu.cells import Operators
from src.cpu.operators import CpuXception
from src.cpu.reducer import SharedMemoryReducer
from src.cpu.shared_memory import shares_memory
from src.data.augmentation import Augmentation
from src.data.normalization import WithNormalization
from src.loss import CrossEntropySmooth
from src.lr_generator import get_lr
from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import (
    amp_level,
    is_bfloat16,
    is_float16,
    label_smoothing,
    loss_scale,
    scales_dynamically,
)
from src.training.dropout import ReplayableDropout
from src.training.loss_scale import DynamicLossScale
from src.training.optimizer import CpuLamb, CpuNesterov, Momentum
from src.training.parameter_groups import parameter_groups
from src.training.step import TrainingStep, WeightAverage, follow
from src.Xception import Xception, xception


def build_loss(config: Config, sparse: bool = True, class_weights: Sequence[float] | None = None) -> CrossEntropySmooth:
    """Return the mean loss of a batch, with the configured smoothing; the others as in CrossEntropySmooth."""
    smoothing = label_smoothing(config)
    return CrossEntropySmooth(sparse, "mean", smoothing, config.num_classes, class_weights=class_weights)


def build_augmentation(config: Config) -> Augmentation:
    """Return what training images undergo beside crops and mirroring.

    Raises:
        ConfigError: If two options do not fit each other.
    """
    try:
        return Augmentation(
            vertical_flip=config.vertical_flip,
            color_jitter=config.color_jitter,
            auto_augment=config.auto_augment,
            rand_augment=config.rand_augment,
            rand_augment_layers=config.rand_augment_layers,
            mixup=config.mixup,
            cutmix=config.cutmix,
            random_erasing=config.random_erasing,
            label_smoothing=label_smoothing(config),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def build_schedule(config: Config, steps_per_epoch: int, scale: float = 1.0) -> np.ndarray:
    """Return the learning rate of every step, float32 (all steps,), `scale` times the configured."""
    rates = config.lr_init * scale, config.lr_end * scale, config.lr_max * scale
    cooldown = config.cooldown_epochs * steps_per_epoch
    if config.max_steps:  # in steps; a warm-up that is longer is cut
        warmup, steps = config.warmup_epochs * steps_per_epoch, max(config.max_steps - cooldown, 1)
        schedule = get_lr(*rates, warmup, max(warmup, steps), steps_per_epoch=1, lr_decay_mode=config.lr_decay_mode)[
            :steps
        ]
        return np.pad(schedule, (0, config.max_steps - steps), mode="edge")
    epochs = config.epoch_size - config.cooldown_epochs
    schedule = get_lr(
        *rates, config.warmup_epochs, epochs, steps_per_epoch=steps_per_epoch, lr_decay_mode=config.lr_decay_mode
    )
    return np.pad(schedule, (0, cooldown), mode="edge")


def settle_steps(config: Config, steps_per_epoch: int) -> Config:
    """Return the configuration with the number of epochs that `max_steps` at least begins as its `epoch_size`."""
    if not config.max_steps:
        return config
    return config.replace(epoch_size=-(-config.max_steps // steps_per_epoch))


def build_optimizer(config: Config, network: Xception, schedule: np.ndarray) -> nn.Optimizer:
    """Return the optimizer of all trainable parameters.

    Args:
        config: The configuration.
        network: The network.
        schedule: Float32 (steps,), the learning rate of every step.
    """
    if schedule.size == 1:  # MindSpore warns of rates of one step; a second one changes nothing
        schedule = np.pad(schedule, (0, 1), mode="edge")
    groups = parameter_groups(config, network.trainable_params(), schedule)
    rates, decay = ms.Tensor(schedule), config.weight_decay
    if config.optimizer == "adamw":
        return nn.AdamWeightDecay(groups, rates, weight_decay=decay)
    if config.optimizer == "lamb":
        return (CpuLamb if config.device_target == "CPU" else nn.Lamb)(groups, rates, weight_decay=decay)
    is_nesterov = config.optimizer == "nesterov"
    kind = CpuNesterov if is_nesterov and config.device_target == "CPU" else Momentum
    return kind(groups, rates, config.momentum, decay, loss_scale=loss_scale(config), use_nesterov=is_nesterov)


def build_average(config: Config, network: Xception) -> Xception | None:
    """Return the network that holds the moving average of the weights, None where the configuration has none."""
    return follow(xception(config.num_classes, network.pool_padding), network) if config.ema_decay else None


def build_loss_scale(config: Config, ranks: int = 1) -> DynamicLossScale | None:
    """Return the loss scale that follows the gradients of all ranks, None where it is fixed."""
    return DynamicLossScale(config.loss_scale, ranks) if scales_dynamically(config) else None


def build_model(
    config: Config,
    network: Xception,
    optimizer: nn.Optimizer,
    averaged: Xception | None = None,
    *,
    scaling: DynamicLossScale | None = None,
    library: Path | None = None,
    class_weights: Sequence[float] | None = None,
) -> ms.Model:
    """Return the model that trains the network; in float16, with a loss scale.

    It takes images as create_dataset gives them, normalised or not.

    Args:
        config: The configuration.
        network: The network, with the dropout that it is trained with.
        optimizer: The optimizer.
        averaged: Receives the moving average of the weights; as build_average returns it.
        scaling: The loss scale, as build_loss_scale returns it.
        library: The operators in C++, as build_cpu_library returns them; None for MindSpore's.
        class_weights: Weight of each class in the loss; None for none.
    """
    level = amp_level(config) if is_float16(config) else "O0"
    forward = CpuXception(network, Operators(library, is_bfloat16(config))) if library else network
    with_normalization = WithNormalization(forward)
    loss = build_loss(config, not build_augmentation(config).mixes, class_weights)
    precision = {}
    if level != "O0":
        manager = ms.amp.FixedLossScaleManager(config.loss_scale, drop_overflow_update=False)
        precision = {"loss_scale_manager": manager, "keep_batchnorm_fp32": True}
    is_plain = averaged is None and scaling is None and not config.clip_grad_norm and config.gradient_accumulation == 1
    if is_plain and optimizer.loss_scale == loss_scale(config):
        model = ms.Model(with_normalization, loss, optimizer, amp_level=level, **precision)
    else:
        network_and_loss = ms.amp.build_train_network(with_normalization, optimizer, loss, level, **precision).network
        step = TrainingStep(
            network_and_loss,
            optimizer,
            loss_scale(config) if scaling is None else scaling,
            micro_batches=config.gradient_accumulation,
            clip_norm=config.clip_grad_norm,
            average=None if averaged is None else WeightAverage(averaged, network, config.ema_decay),
            micro_batch=network.dropout.micro_batch if isinstance(network.dropout, ReplayableDropout) else None,
        )
        model = ms.Model(step.set_train())
    if library and shares_memory(library):
        model.train_network.grad_reducer = SharedMemoryReducer(library, optimizer.parameters)
    return model
