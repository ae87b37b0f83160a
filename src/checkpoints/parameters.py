"""Parameters, and what a checkpoint holds for them, which is never taken where it does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from src.checkpoints.file import METADATA
from src.metadata.metadata import Metadata, parse_metadata
from src.Xception import Xception

AVERAGE = "ema."  # how the names of averaged weights begin
_POOL_PADDING = "pool_padding"  # what earlier versions wrote for another padding than "same"
_MAX_NAMES = 10
# What training writes beside the weights: here, in MindSpore's own ModelCheckpoint, and under dynamic loss scaling.
_TRAINING_STATE = re.compile(
    r"(moments|accum|moment1|moment2|adam_m|adam_v|lamb_m|lamb_v|ema)\..*|(global_step|learning_rate|momentum|scale_sense"
    r"|loss_scale|loss_scale_steps|loss_scale_skipped|epoch_num|step_num|steps_per_epoch|best_top_1|best_top_5|best_loss|current_iterator_step"
    r"|last_overflow_iterator_step|random_op|_random_op_.*|beta1_power|beta2_power|weight_decay|pool_padding|metadata)"
)


def weights_of(network: nn.Cell) -> dict[str, Parameter]:
    """Return what belongs into a checkpoint by name: all but the parameters of the dropout, which has none to learn."""
    return {
        parameter.name: parameter for parameter in network.get_parameters() if not parameter.name.startswith("dropout.")
    }


def metadata_entry(network: nn.Cell, metadata: Metadata | None) -> dict[str, str]:
    """Return the entry of a checkpoint that tells what a network's weights mean; none if there is nothing to tell.

    Args:
        network: The network, whose way of padding counts.
        metadata: All else.
    """
    if isinstance(network, Xception) and (metadata or network.pool_padding != "same"):
        metadata = replace(metadata or Metadata(), pool_padding=network.pool_padding)
    return {METADATA: metadata.to_json()} if metadata else {}


def stored_metadata(stored: Mapping[str, Any], path: Path) -> Metadata | None:
    """Return what a checkpoint says of its weights, None where it says nothing.

    Args:
        stored: What the checkpoint holds, as read_checkpoint returns it.
        path: Its file, for the message.

    Raises:
        ValueError: If that is damaged, of a newer format, or does not fit the weights.
    """
    if METADATA not in stored:
        return Metadata(pool_padding=stored[_POOL_PADDING]) if _POOL_PADDING in stored else None
    metadata = parse_metadata(str(stored[METADATA]), str(path))
    names, classes = len(metadata.class_names), shape_of(stored.get("fc.bias", ""))
    if names and classes and classes != (names,):
        raise ValueError(
            f"the metadata in {path} names {names} classes, but its weights have {classes[0]}: use another"
        )
    return metadata


def set_padding(network: nn.Cell, metadata: Metadata | None) -> None:
    """Give a network the way of padding that its weights were trained with."""
    if isinstance(network, Xception):
        network.set_pool_padding(metadata.pool_padding if metadata else "same")


def belongs_to_training(name: str) -> bool:
    """Tell whether an entry of a checkpoint is none of the weights, by its name."""
    return _TRAINING_STATE.fullmatch(name) is not None


def check_weights(weights: Mapping[str, Parameter], stored: Mapping[str, Any], path: Path) -> None:
    """Raise if a checkpoint does not fit weights.

    Args:
        weights: All or most of a network's, by name.
        stored: What the checkpoint holds, as read_checkpoint returns it.
        path: Its file, for the message.

    Raises:
        ValueError: If names or shapes differ; what training writes beside the weights does not matter.
    """
    check_fit(weights, stored, [name for name in stored if not belongs_to_training(name)], path)


def check_fit(wanted: Mapping[str, Parameter], stored: Mapping[str, Any], relevant: Iterable[str], path: Path) -> None:
    """Raise if some entries of a checkpoint are not just those that are wanted.

    Args:
        wanted: Parameters by name.
        stored: What the checkpoint holds.
        relevant: Names of the entries of which all must be wanted.
        path: The file, for the message.

    Raises:
        ValueError: With a list of what is missing, unexpected or of another shape.
    """
    missing = [name for name in wanted if name not in stored]
    unexpected = [name for name in relevant if name not in wanted]
    misshaped = [name for name in wanted if name in stored and shape_of(stored[name]) != shape_of(wanted[name])]
    if not (missing or unexpected or misshaped):
        return
    shapes = [f"{name} {shape_of(stored[name])} instead of {shape_of(wanted[name])}" for name in misshaped]
    lists = (("missing", missing), ("unexpected", unexpected), ("wrong shape", shapes))
    problems = "; ".join(f"{what}: {first_of(names)}" for what, names in lists if names)
    hint = ""
    if set(misshaped) == {"fc.weight", "fc.bias"} and not (missing or unexpected):
        classes = shape_of(stored["fc.bias"])[0]
        hint = f"; it has {classes} classes: use --num_classes={classes}"
    raise ValueError(f"checkpoint {path} does not fit the network: {problems}{hint}")


def assign(wanted: Mapping[str, Parameter], stored: Mapping[str, Parameter]) -> None:
    """Give parameters their stored values, in the parameters' own types."""
    for name, parameter in wanted.items():
        value = stored[name].asnumpy()
        parameter.set_data(Tensor(value.astype(np.float32), parameter.dtype))


def copy_weights(network: nn.Cell, averaged: nn.Cell) -> None:
    """Set an averaged network, or one without classifier, to the weights and statistics that a network has now."""
    weights = {parameter.name: parameter for parameter in network.get_parameters()}
    for average in averaged.get_parameters():
        average.set_data(Tensor(weights[average.name.removeprefix(AVERAGE)].asnumpy()))


def shape_of(entry: Parameter | str) -> tuple[int, ...]:
    """Return the shape of an entry of a checkpoint; that of a number or of text, which is read as str, is ()."""
    return tuple(entry.shape) if isinstance(entry, Parameter) else ()


def first_of(names: list[str]) -> str:
    """Return names for a message: the first ones of many, and the number of the rest."""
    rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + rest
