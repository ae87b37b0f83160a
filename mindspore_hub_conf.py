"""Entry point of MindSpore Hub."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from src.checkpoints.weights import load_network
from src.Xception import Xception, xception

_NAMES = ("xception", "xceptionnet")
_OLD_NAMES = {"class_num": "num_classes"}


def xceptionnet(*args, **kwargs) -> Xception:
    """Build the network under the model zoo's other name for it, with the arguments of `create_network`."""
    return create_network("xceptionnet", *args, **kwargs)


def create_network(name: str, *args, checkpoint_path: str | Path = "", **kwargs) -> Xception:
    """Build a network by its name.

    Args:
        name (str): "xception", or "xceptionnet", which is the same.
        args: Positional arguments of `src.Xception.xception`.
        checkpoint_path: Checkpoint file, whose weights, number of classes and way of padding the network gets;
            `src.checkpoints.weights.read_metadata` tells what else the file says. Empty for none.
        kwargs: Keyword arguments of `src.Xception.xception`: `num_classes` (or `class_num`), `pool_padding`,
            `include_top`, `pooling`.

    Returns:
        Xception, with the weights of the file, or freshly initialised.

    Raises:
        NotImplementedError: If the name is another one.
        ValueError: If the file is missing or damaged, or does not hold the network that the arguments ask for.
    """
    if name not in _NAMES:
        raise NotImplementedError(f"{name} is not in this repository, which has: {', '.join(_NAMES)}")
    if not checkpoint_path:
        return xception(*args, **kwargs)
    given = signature(xception).bind(*args, **kwargs).arguments
    top = {key: given.pop(key) for key in ("include_top", "pooling") if key in given}
    network = load_network(checkpoint_path, **top).network
    if not network.include_top:
        given = {key: value for key, value in given.items() if _OLD_NAMES.get(key, key) != "num_classes"}
    for key, value in given.items():
        found = getattr(network, _OLD_NAMES.get(key, key))
        if found != value:
            raise ValueError(f"{key} is {value}, but {checkpoint_path} has {found}: leave it out, the file tells")
    return network
