"""Entry point of MindSpore Hub."""

from src.Xception import Xception, xception


def create_network(name: str, *args, **kwargs) -> Xception:
    """Build a network by its name.

    Args:
        name (str): "xception", the only one there is.
        args: Positional arguments of `src.Xception.xception`.
        kwargs: Keyword arguments of `src.Xception.xception`, `num_classes` and `pool_padding`.

    Returns:
        Xception, freshly initialised.

    Raises:
        NotImplementedError: If the name is another one.
    """
    if name == "xception":
        return xception(*args, **kwargs)
    raise NotImplementedError(f"{name} is not in this repository, which has: xception")
