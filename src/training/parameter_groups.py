"""What the optimizer does to each part of the network: its learning rate, and whether it decays."""

from __future__ import annotations

import re
from collections.abc import Sequence

import mindspore as ms
import numpy as np

from src.model_utils.config import Config
from src.training.fine_tuning import is_head
from src.Xception import BLOCKS

# What has no weight decay, by the ends of names; MindSpore's optimizers keep to the first rule by themselves.
_EXEMPT_FROM_DECAY = {"auto": (".gamma", ".beta"), "norm_and_bias": (".gamma", ".beta", ".bias"), "disable": ()}
_STEM = ("conv1.", "bn1.", "conv2.", "bn2.")
_EXIT = len(BLOCKS) + 1  # conv3 and conv4 with their batch norm, behind the blocks
_HEAD = _EXIT + 1


def parameter_groups(config: Config, parameters: Sequence[ms.Parameter], schedule: np.ndarray) -> list:
    """Return the parameters as MindSpore's optimizers take them, in groups where their own rules are not enough.

    Args:
        config: With `weight_decay`, its filter, `head_lr_scale` and `layer_decay`.
        parameters: Those that are trained, in the order of the network.
        schedule: Float32 (steps,), the learning rate of every step.
    """
    if config.weight_decay_filter == "auto" and config.head_lr_scale == config.layer_decay == 1:
        return list(parameters)
    exempt = _EXEMPT_FROM_DECAY[config.weight_decay_filter]
    members: dict[tuple[float, bool], list[ms.Parameter]] = {}
    for parameter in parameters:
        members.setdefault((rate_factor(config, parameter.name), parameter.name.endswith(exempt)), []).append(parameter)
    groups: list[dict] = []
    for (factor, is_exempt), group in members.items():
        groups.append({"params": group, "weight_decay": 0.0 if is_exempt else config.weight_decay})
        if factor != 1:
            groups[-1]["lr"] = ms.Tensor(schedule * np.float32(factor))
    # The order of the network, so that a checkpoint does not depend on the groups.
    return [*groups, {"order_params": list(parameters)}]


def rate_factor(config: Config, name: str) -> float:
    """Return the factor on the learning rate of a parameter, by its name."""
    return config.layer_decay ** (_HEAD - _depth(name)) * (config.head_lr_scale if is_head(name) else 1.0)


def _depth(name: str) -> int:
    """Return how deep a parameter lies: 0 in the stem, 1 to 12 in the blocks, then in the exit and the classifier."""
    block = re.match(r"block(\d+)\.", name)
    if block:
        return int(block[1])
    if is_head(name):
        return _HEAD
    return 0 if name.startswith(_STEM) else _EXIT
