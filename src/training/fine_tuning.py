"""Fine-tuning: weights from another training, parts that stay as they are, a learning rate of the classifier's own."""

from __future__ import annotations

import re

from mindspore import nn

from src.checkpoints.weights import load_pretrained
from src.model_utils.config import Config, ConfigError
from src.Xception import Xception

_HEAD = "fc."
_ALIASES = {"none": r"(?!)", "features": rf"(?!{re.escape(_HEAD)})"}  # patterns that match no name, all but the head


def prepare_fine_tuning(config: Config, network: Xception) -> None:
    """Load pretrained weights and freeze what is to stay as it is, before the optimizer is built.

    Args:
        config: With `pretrained` and `freeze`.
        network: Receives both; a checkpoint to resume may replace the weights afterwards.

    Raises:
        ValueError: If the checkpoint does not fit, or the options do not fit each other.
    """
    if config.freeze != "none" and not (config.pretrained or config.resume):
        raise ConfigError(f"freeze is {config.freeze}, but the weights are random: add --pretrained=FILE.ckpt")
    if config.pretrained and config.resume not in ("", "auto"):
        raise ConfigError(
            f"both pretrained ({config.pretrained}) and resume ({config.resume}) are given: pretrained weights start a "
            f"new training, resume goes on with one"
        )
    if config.pretrained:
        dropped = load_pretrained(network, config.pretrained, _HEAD)
        new = f", all but the classifier, which is new with {config.num_classes} classes" if dropped else ""
        print(f"pretrained weights from {config.pretrained}{new}", flush=True)
    freeze(network, config.freeze)


def freeze(network: nn.Cell, names: str) -> None:
    """Keep parameters as they are while the rest is trained; batch norm among them keeps its statistics too.

    Args:
        network: The network, which has not been called yet.
        names: "none", "features" for all but the classifier, or a regular expression that is found at the beginning of
            the names of parameters, such as "conv|bn|block[1-8]\\.".

    Raises:
        ConfigError: If it is no regular expression, matches nothing, or leaves nothing to train.
    """
    try:
        pattern = re.compile(_ALIASES.get(names, names))
    except re.error as error:
        raise ConfigError(f"freeze is no regular expression: {names}: {error}") from error
    trainable = network.trainable_params()
    frozen = [parameter for parameter in trainable if pattern.match(parameter.name)]
    if names != "none" and not frozen:
        raise ConfigError(f"freeze is {names}, but no parameter's name begins so; they are like {trainable[0].name}")
    if len(frozen) == len(trainable):
        raise ConfigError(f"freeze is {names}, which leaves nothing to train")
    for parameter in frozen:
        parameter.requires_grad = False
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d) and not cell.gamma.requires_grad:
            # Training mode cannot be kept off a part: it is set for the whole network again and again.
            cell.use_batch_statistics = False
    if frozen:
        print(f"frozen: {len(frozen)} of {len(trainable)} parameters", flush=True)


def is_head(name: str) -> bool:
    """Tell whether a parameter belongs to the classifier, by its name."""
    return name.startswith(_HEAD)
