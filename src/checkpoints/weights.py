"""Checkpoints as weights: of a network, for a new training, or of any network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mindspore import Parameter, nn
from mindspore.nn.utils import no_init_parameters

from src.checkpoints.file import read_checkpoint, write_checkpoint
from src.checkpoints.parameters import (
    AVERAGE,
    assign,
    belongs_to_training,
    check_weights,
    copy_weights,
    metadata_entry,
    set_padding,
    shape_of,
    stored_metadata,
    weights_of,
)
from src.metadata.metadata import Metadata
from src.Xception import Xception, xception

_HEAD = "fc."  # how the names of the classifier's parameters begin


class StoredWeights(NamedTuple):
    """The weights that a checkpoint holds.

    Args:
        values: The weights by name, without what training writes beside them.
        metadata: What they mean; None where the file says nothing.
        are_averaged: Whether they are the moving average of the weights, which the checkpoint holds too.
    """

    values: dict[str, np.ndarray]
    metadata: Metadata | None
    are_averaged: bool


class StoredNetwork(NamedTuple):
    """The network that a checkpoint holds.

    Args:
        network: The network, with its weights or their moving average.
        metadata: What they mean; None where the file says nothing.
        has_average: Whether the checkpoint holds a moving average of the weights too.
    """

    network: Xception
    metadata: Metadata | None
    has_average: bool


class Description(NamedTuple):
    """What a checkpoint says of its weights.

    Args:
        metadata: What they mean; None where the file says nothing.
        num_classes: Number of classes of its classifier; None where it has none.
    """

    metadata: Metadata | None
    num_classes: int | None


def save_weights(path: Path, network: nn.Cell, metadata: Metadata | None = None) -> None:
    """Write the weights and batch-norm statistics of a network, with a checksum; the file appears whole or not at all.

    Args:
        path: The file; missing parent folders are created.
        network: The network.
        metadata: What the weights mean; the way of padding is the network's.

    Raises:
        OSError: If the file cannot be written; what was there is untouched.
    """
    write_checkpoint(path, weights_of(network).values(), metadata_entry(network, metadata))


def load_network(
    path: str | Path, *, use_average: bool = True, include_top: bool = True, pooling: str | None = None
) -> StoredNetwork:
    """Return the network that a checkpoint holds, and what its weights mean.

    Args:
        path: A checkpoint of this project, or of the MindSpore model zoo's Xception, of any number of classes.
        use_average: Whether to take the moving average of the weights, where the checkpoint holds one.
        include_top: Whether to take its classifier; without, the checkpoint needs none.
        pooling: What a network without classifier gives, as in Xception.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or no checkpoint of Xception.
    """
    stored = read_checkpoint(Path(path))
    averages = _averages(stored)
    if use_average:
        stored |= averages
    shape = shape_of(stored.get("fc.bias", ""))
    if include_top and len(shape) != 1:
        raise ValueError(f"checkpoint {path} is none of Xception: it has no fc.bias, one number a class")
    with no_init_parameters():  # random numbers that nobody sees take a quarter of a second
        network = xception(shape[0] if include_top else 1, include_top=include_top, pooling=pooling)
    metadata = _load(network, weights_of(network), _for(network, stored), Path(path))
    return StoredNetwork(network, metadata, bool(averages))


def without_top(network: Xception) -> Xception:
    """Return the network that gives the features that another one's classifier sees, (N, 2048), by its weights."""
    with no_init_parameters():
        body = xception(pool_padding=network.pool_padding, include_top=False, pooling="avg")
    copy_weights(network, body)
    return body.set_train(False)


def load_weights(network: nn.Cell, path: str | Path) -> None:
    """Load the weights of a checkpoint into a network they fit exactly; their moving average where it holds one.

    A network without classifier takes all but the checkpoint's classifier.

    Args:
        network: Receives the weights, in its own types, and the way of padding that they were trained with; so load
            before the network is called for the first time.
        path: A checkpoint of this project, or of the MindSpore model zoo's Xception.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or names or shapes differ. The network is unchanged after either error.
    """
    _load(network, weights_of(network), _for(network, _averages_or_weights(path)), Path(path))


def load_pretrained(network: nn.Cell, path: str | Path, head: str, *, keep_head: bool = True) -> bool:
    """Load the weights of a checkpoint for a new training, without the classifier where that has another size.

    Args:
        network: Receives the weights.
        path: A checkpoint of any number of classes, or without a classifier.
        head: How the names of the classifier's parameters begin.
        keep_head: Whether to take the classifier where it fits.

    Returns:
        Whether the classifier was left as it is.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing or anything else does not fit. The network is unchanged after either error.
    """
    stored = _for(network, _averages_or_weights(path))
    weights = weights_of(network)
    heads = [name for name in weights if name.startswith(head)]
    fits = keep_head and all(shape_of(stored.get(name, "")) == shape_of(weights[name]) for name in heads)
    if not fits:
        stored = {name: value for name, value in stored.items() if not name.startswith(head)}
        weights = {name: value for name, value in weights.items() if not name.startswith(head)}
    _load(network, weights, stored, Path(path))
    return not fits


def read_weights(path: str | Path, use_average: bool = True) -> StoredWeights:
    """Read the weights of a checkpoint of any network, or their moving average where it holds one.

    Args:
        path: A checkpoint.
        use_average: Whether to take the average then.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    stored = read_checkpoint(Path(path))
    averages = _averages(stored) if use_average else {}
    weights = {name: value.asnumpy() for name, value in {**stored, **averages}.items() if not belongs_to_training(name)}
    return StoredWeights(weights, stored_metadata(stored, Path(path)), bool(averages))


def read_metadata(path: str | Path) -> Metadata | None:
    """Return what a checkpoint says of its weights, None where it says nothing.

    Args:
        path: A checkpoint.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    return read_description(path).metadata


def read_description(path: str | Path, whole: bool = False) -> Description:
    """Return what a checkpoint says of its weights, and their number of classes.

    Args:
        path: A checkpoint.
        whole: Whether to take it only with its checksum, which a file that was cut lacks.

    Raises:
        DamagedCheckpoint: If the file is damaged.
        ValueError: If it is missing, or its metadata is damaged or of a newer format.
    """
    stored = read_checkpoint(Path(path), whole)
    shape = shape_of(stored.get("fc.bias", ""))
    return Description(stored_metadata(stored, Path(path)), shape[0] if len(shape) == 1 else None)


def _averages_or_weights(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint holds with the moving averages, if there are any, in the place of the weights."""
    stored = read_checkpoint(Path(path))
    return {**stored, **_averages(stored)}


def _averages(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(AVERAGE): value for name, value in stored.items() if name.startswith(AVERAGE)}


def _for(network: nn.Cell, stored: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint holds, without the classifier where the network is an Xception that has none."""
    if not isinstance(network, Xception) or network.include_top:
        return stored
    return {name: value for name, value in stored.items() if not name.startswith(_HEAD)}


def _load(network: nn.Cell, weights: Mapping[str, Parameter], stored: Mapping[str, Any], path: Path) -> Metadata | None:
    """Check that a checkpoint fits the weights, all or most of a network's, give the network what it holds, and
    return what that means.
    """
    check_weights(weights, stored, path)
    metadata = stored_metadata(stored, path)
    set_padding(network, metadata)
    assign(weights, stored)
    return metadata
