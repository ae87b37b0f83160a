"""Settings that follow from others: precision, label smoothing, loss scale, learning rates, threads, data sinking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.common.workers import available_workers
from src.model_utils.config import Config

if TYPE_CHECKING:
    from mindspore import nn

IMAGES_OF_RECIPE = 1024  # images a step that its learning rates are for: 128 on each of 8 devices


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
    """Return the fixed factor on the loss that keeps small float16 gradients from vanishing, else 1."""
    return config.loss_scale if is_float16(config) and not scales_dynamically(config) else 1.0


def scales_dynamically(config: Config) -> bool:
    """Tell whether the factor on the loss follows the gradients: in half precision, where that is asked for."""
    return config.loss_scale_mode == "dynamic" and amp_level(config) != "O0"


def rate_scale(config: Config, ranks: int) -> float:
    """Return the factor on all learning rates: with `scale_lr` that of the images of a step (Goyal et al. 2017)."""
    return images_per_step(config, ranks) / IMAGES_OF_RECIPE if config.scale_lr else 1.0


def images_per_step(config: Config, ranks: int) -> int:
    """Return how many images all devices together take for a step of the optimizer."""
    return config.batch_size * config.gradient_accumulation * ranks


def workers(config: Config) -> int:
    """Return how many threads or processes read images: `num_parallel_workers`, 0 takes what this machine has."""
    return config.num_parallel_workers or available_workers()


def sinks_data(config: Config) -> bool:
    """Tell whether the device takes whole epochs of data at once; a CPU has nothing to sink them into."""
    return config.dataset_sink_mode and config.device_target != "CPU"
