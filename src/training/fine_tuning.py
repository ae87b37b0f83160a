"""Fine-tuning: weights from another training, parts that stay as they are, a learning rate of the classifier's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mindspore import nn

from src.checkpoints.weights import load_pretrained
from src.metadata.class_list import describe_difference
from src.model_utils.config import Config, ConfigError
from src.training.origin import Origin
from src.Xception import Xception

_HEAD = "fc."
_ALIASES = {"none": r"(?!)", "features": rf"(?!{re.escape(_HEAD)})"}  # patterns that match no name, all but the head


def prepare_fine_tuning(config: Config, network: Xception, origin: Origin | None, class_names: Sequence[str]) -> None:
    """Load pretrained weights and freeze what is to stay as it is, before the optimizer is built.

    Args:
        config: With `pretrained` and `freeze`.
        network: Receives both.
        origin: The checkpoint that training begins with; one to resume is loaded later. None for random weights.
        class_names: Names of the classes to train; a classifier of others is not taken.

    Raises:
        ValueError: If the checkpoint does not fit, or the options do not fit each other.
    """
    if config.freeze != "none" and not (config.pretrained or config.resume):
        raise ConfigError(f"freeze is {config.freeze}, but the weights are random: add --pretrained=FILE.ckpt")
    if origin and not origin.is_resumed:
        print(f"pretrained weights from {origin.path}{_load(network, origin, class_names)}", flush=True)
    freeze(network, config.freeze)


def _load(network: Xception, origin: Origin, class_names: Sequence[str]) -> str:
    """Load pretrained weights, and tell what was not taken."""
    difference = describe_difference(origin.class_names, class_names) if origin.class_names else ""
    is_new = load_pretrained(network, origin.path, _HEAD, keep_head=not difference)
    if not is_new:
        return ""
    new = f", all but the classifier, which is new with {len(class_names)} classes"
    return f"{new}: {difference}" if origin.num_classes == len(class_names) else new


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
