"""Settings that follow from others: precision, label smoothing, loss scale, threads, data sinking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.common.workers import available_workers
from src.model_utils.config import Config

if TYPE_CHECKING:
    from mindspore import nn


def amp_level(config: Config) -> str:
    """Return the mixed-precision level, O0, O2 or O3: as configured, or the device's own for `auto`."""
    if config.amp_level != "auto":
        return config.amp_level
    if config.device_target == "Ascend":
        return "O3"
    return "O2" if config.device_target == "GPU" and not config.is_fp32 else "O0"


def is_float16(config: Config) -> bool:
    """Tell whether MindSpore computes in float16: at all levels but O0, on all devices but CPU."""
    return amp_level(config) != "O0" and config.device_target != "CPU"


def is_bfloat16(config: Config) -> bool:
    """Tell whether the operators in C++ compute in bfloat16: at all levels but O0, on CPU."""
    return amp_level(config) != "O0" and config.device_target == "CPU"


def to_evaluation_precision(config: Config, network: nn.Cell) -> nn.Cell:
    """Return the network as MindSpore evaluates it: float16 with float32 batch norm, or float32."""
    if not is_float16(config):
        return network
    from mindspore import amp

    return amp.auto_mixed_precision(network, "O2")


def label_smoothing(config: Config) -> float:
    """Return the share of a label that goes to the wrong classes, in [0, 1)."""
    return config.label_smooth_factor if config.use_label_smooth else 0.0


def loss_scale(config: Config) -> float:
    """Return the factor on the loss that keeps small float16 gradients from vanishing, else 1."""
    return config.loss_scale if is_float16(config) else 1.0


def workers(config: Config) -> int:
    """Return how many threads or processes read images: `num_parallel_workers`, 0 takes what this machine has."""
    return config.num_parallel_workers or available_workers()


def sinks_data(config: Config) -> bool:
    """Tell whether the device takes whole epochs of data at once; a CPU has nothing to sink them into."""
    return config.dataset_sink_mode and config.device_target != "CPU"
