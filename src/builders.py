"""The parts of a run that follow from its configuration: precision, loss, schedule, optimizer, model."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn

from src.fine_tuning import is_head
from src.loss import CrossEntropySmooth
from src.lr_generator import get_lr
from src.model_utils.config import Config
from src.Xception import Xception


def amp_level(config: Config) -> str:
    """Return the mixed-precision level, O0, O2 or O3: as configured, or the device's own for `auto`."""
    if config.amp_level != "auto":
        return config.amp_level
    if config.device_target == "Ascend":
        return "O3"
    return "O2" if config.device_target == "GPU" and not config.is_fp32 else "O0"


def build_loss(config: Config, reduction: str = "mean") -> CrossEntropySmooth:
    """Return the loss, with the configured smoothing; `reduction` as in CrossEntropySmooth."""
    smooth_factor = config.label_smooth_factor if config.use_label_smooth else 0.0
    return CrossEntropySmooth(True, reduction, smooth_factor, config.num_classes)


def build_schedule(config: Config, steps_per_epoch: int) -> np.ndarray:
    """Return the learning rate of every step, float32 (epoch_size * steps_per_epoch,)."""
    return get_lr(
        config.lr_init,
        config.lr_end,
        config.lr_max,
        config.warmup_epochs,
        config.epoch_size,
        steps_per_epoch,
        config.lr_decay_mode,
    )


def build_optimizer(config: Config, network: Xception, schedule: np.ndarray) -> nn.Momentum:
    """Return the momentum optimizer of all trainable parameters.

    Args:
        config: The configuration.
        network: The network.
        schedule: Float32 (steps,), the learning rate of every step.
    """
    loss_scale = config.loss_scale if amp_level(config) != "O0" else 1.0
    parameters = network.trainable_params()
    groups: list = parameters
    if config.head_lr_scale != 1:
        body = [parameter for parameter in parameters if not is_head(parameter.name)]
        head = [parameter for parameter in parameters if is_head(parameter.name)]
        groups = [
            {"params": head, "lr": ms.Tensor(schedule * np.float32(config.head_lr_scale))},
            # The order of the network, so that a checkpoint does not depend on the groups.
            {"order_params": parameters},
        ]
        groups[:0] = [{"params": body}] if body else []
    return nn.Momentum(groups, ms.Tensor(schedule), config.momentum, config.weight_decay, loss_scale=loss_scale)


def build_model(config: Config, network: Xception, optimizer: nn.Optimizer) -> ms.Model:
    """Return the model that trains the network, in mixed precision with a fixed loss scale unless the level is O0."""
    level = amp_level(config)
    if level == "O0":
        return ms.Model(network, build_loss(config), optimizer)
    manager = ms.amp.FixedLossScaleManager(config.loss_scale, drop_overflow_update=False)
    return ms.Model(
        network, build_loss(config), optimizer, amp_level=level, loss_scale_manager=manager, keep_batchnorm_fp32=True
    )


def set_evaluation_precision(config: Config, network: Xception) -> nn.Cell:
    """Return the network as training computes it: float16 with float32 batch norm unless the level is O0."""
    return network if amp_level(config) == "O0" else ms.amp.auto_mixed_precision(network, "O2")
