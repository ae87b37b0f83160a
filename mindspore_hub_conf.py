"""Entry point of MindSpore Hub."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from src.checkpoints.weights import load_network
from src.Xception import Xception, xception


def create_network(name: str, *args, checkpoint_path: str | Path = "", **kwargs) -> Xception:
    """Build a network by its name.

    Args:
        name (str): "xception", the only one there is.
        args: Positional arguments of `src.Xception.xception`.
        checkpoint_path: Checkpoint file, whose weights, number of classes and way of padding the network gets;
            `src.checkpoints.weights.read_metadata` tells what else the file says. Empty for none.
        kwargs: Keyword arguments of `src.Xception.xception`: `num_classes`, `pool_padding`, `include_top`, `pooling`.

    Returns:
        Xception, with the weights of the file, or freshly initialised.

    Raises:
        NotImplementedError: If the name is another one.
        ValueError: If the file is missing or damaged, or does not hold the network that the arguments ask for.
    """
    if name != "xception":
        raise NotImplementedError(f"{name} is not in this repository, which has: xception")
    if not checkpoint_path:
        return xception(*args, **kwargs)
    given = signature(xception).bind(*args, **kwargs).arguments
    top = {key: given.pop(key) for key in ("include_top", "pooling") if key in given}
    network = load_network(checkpoint_path, **top).network
    if not network.include_top:
        given.pop("num_classes", None)  # it does not count without the classifier
    for key, value in given.items():
        found = getattr(network, key)
        if found != value:
            raise ValueError(f"{key} is {value}, but {checkpoint_path} has {found}: leave it out, the file tells")
    return network
