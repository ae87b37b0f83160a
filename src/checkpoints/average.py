"""The mean of several checkpoints of one network, which is often better than each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, Tensor

from src.checkpoints.parameters import weights_of
from src.checkpoints.weights import load_network
from src.metadata.metadata import Metadata, Provenance
from src.Xception import Xception


class Averaged(NamedTuple):
    """The mean of checkpoints.

    Args:
        network: The network with the mean of their weights and of their batch-norm statistics.
        metadata: What they all mean, with as much of where they come from as they share; None where they say nothing.
        counted: Their files.
        repeated: The files left out since they hold the weights of another one.
    """

    network: Xception
    metadata: Metadata | None
    counted: list[Path]
    repeated: list[Path]


def average_checkpoints(paths: Sequence[Path], use_average: bool = True) -> Averaged:
    """Return the mean of the weights of checkpoints; where the same weights lie in several files, they count once.

    Args:
        paths: The files, one or more.
        use_average: Whether to take the moving average of the weights of those that hold one.

    Raises:
        DamagedCheckpoint: If a file is damaged.
        ValueError: If one is missing or no checkpoint of Xception, holds weights that are no numbers or have another
            meaning than those of the first, or there are not two of different weights.
    """
    sums: dict[str, np.ndarray] = {}
    described: list[Metadata | None] = []
    digests: set[bytes] = set()
    counted: list[Path] = []
    for path in paths:
        network, metadata, _ = load_network(path, use_average=use_average)
        weights = weights_of(network)
        digest = _digest(weights.values())
        if digest in digests:
            continue
        digests.add(digest)
        _check_same(metadata, path, described, counted)
        for name, parameter in weights.items():
            value = parameter.asnumpy().astype(np.float64)
            if not np.isfinite(value).all():
                raise ValueError(f"{name} of checkpoint {path} is NaN or infinite: leave it out")
            if name in sums and sums[name].shape != value.shape:
                raise ValueError(f"checkpoint {path} has {name} {value.shape}, but {counted[0]} {sums[name].shape}")
            sums[name] = sums.get(name, 0) + value
        described.append(metadata)
        counted.append(path)
    if len(counted) < 2:
        raise ValueError(f"there is nothing to average: {len(paths)} files hold the weights of one, {counted[0]}")
    for name, parameter in weights_of(network).items():
        parameter.set_data(Tensor((sums[name] / len(counted)).astype(np.float32), parameter.dtype))
    repeated = [path for path in paths if path not in counted]
    return Averaged(network, _shared(described), counted, repeated)


def _digest(weights: Iterable[Parameter]) -> bytes:
    digest = hashlib.sha256()
    for parameter in weights:
        digest.update(np.ascontiguousarray(parameter.asnumpy()).data)
    return digest.digest()


def _check_same(
    metadata: Metadata | None, path: Path, described: Sequence[Metadata | None], counted: Sequence[Path]
) -> None:
    """Raise if weights mean something else than those of the first checkpoint; where they come from does not matter."""
    if not described:
        return
    first = described[0]
    if first is None or metadata is None:
        if first is not metadata:
            silent, other = (counted[0], path) if first is None else (path, counted[0])
            raise ValueError(f"checkpoint {silent} does not tell what its weights mean, as {other} does: leave one out")
        return
    differ = [
        each.name
        for each in fields(Metadata)
        if each.name != "provenance" and getattr(first, each.name) != getattr(metadata, each.name)
    ]
    if differ:
        name = differ[0]
        raise ValueError(
            f"checkpoint {path} has {name.replace('_', ' ')} {getattr(metadata, name)!s:.200}, but {counted[0]} "
            f"{getattr(first, name)!s:.200}: their mean would be neither; leave one out"
        )


def _shared(described: Sequence[Metadata | None]) -> Metadata | None:
    """Return what equal metadata say, with what is equal of where the weights come from."""
    known = [each for each in described if each]
    if not known:
        return None
    first = known[0]
    same = {
        each.name: getattr(first.provenance, each.name)
        for each in fields(Provenance)
        if all(getattr(other.provenance, each.name) == getattr(first.provenance, each.name) for other in known)
    }
    return replace(first, provenance=Provenance(**same))
