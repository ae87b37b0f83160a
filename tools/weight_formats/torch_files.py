"""PyTorch weights in the layout of Cadene's pretrained-models and timm's `legacy_xception`; no pickled code is run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from tools.weight_formats.layers import Weights, rename, xception_layers

# The same layers have the same names; PyTorch calls the parameters of a batch norm otherwise.
_NORM_PARAMETERS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_WRAPPERS = ("state_dict", "model")  # what training programs keep the weights under, beside their own state


def read_torch(path: Path) -> Weights:
    """Read a .pth or .safetensors file.

    Args:
        path: The file; a .pth file needs the package torch.

    Returns:
        The weights.

    Raises:
        ValueError: If a package is missing, the file is damaged or holds other things than tensors, or is no Xception.
    """
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if all(name.startswith("module.") for name in tensors):  # written by a network in DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    # Cadene's own class calls the classifier last_linear, and keeps 1 x 1 kernels as matrices in its first files.
    tensors = {name.replace("last_linear.", "fc.", 1): tensor for name, tensor in tensors.items()}
    names = {theirs: ours for ours, theirs in _torch_names().items()}
    # A count of training batches, which nothing computes with.
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}
    weights = rename(tensors, names, path)
    return {
        name: value[:, :, None, None] if name.endswith("pointwise.weight") and value.ndim == 2 else value
        for name, value in weights.items()
    }


def to_torch(weights: Weights, path: Path) -> bytes:
    """Return the content of a file for timm's `legacy_xception`.

    Args:
        weights: All weights.
        path: Its future name: .safetensors is written as such, any other as PyTorch's own format, which needs torch.

    Raises:
        ValueError: If a package is missing.
    """
    names = _torch_names()
    tensors = {names[ours]: np.ascontiguousarray(value) for ours, value in weights.items()}
    if path.suffix == ".safetensors":
        return _safetensors().save(tensors, metadata={"format": "pt"})
    torch = _torch()
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value.copy()) for name, value in tensors.items()}, buffer)
    return buffer.getvalue()


def _torch_names() -> dict[str, str]:
    """Return PyTorch's name of every parameter of this project."""
    names = {}
    for layer in xception_layers():
        for name in layer.parameters:
            prefix, _, parameter = name.rpartition(".")
            names[name] = f"{prefix}.{_NORM_PARAMETERS[parameter]}" if layer.kind == "norm" else name
    return names


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    safetensors = _safetensors()
    try:
        return safetensors.load_file(path)
    except Exception as error:  # of the package's own type, and others for element types that NumPy lacks
        raise ValueError(f"cannot read {path} as safetensors: {error}") from error


def _read_pickle(path: Path) -> dict[str, np.ndarray]:
    torch = _torch()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types for a damaged file, and for anything but tensors in it
        raise ValueError(f"cannot read {path} as PyTorch weights, without running code from it: {error}") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{path} holds no mapping of names to tensors: save the model's state_dict()")
    return {str(name): tensor.to(torch.float32).numpy() for name, tensor in content.items()}


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise ValueError("torch, which .pth files need, is missing: pip install torch, or use .safetensors") from error
    return torch


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ValueError("safetensors is missing: pip install -r requirements-convert.txt") from error
    return safetensors.numpy
