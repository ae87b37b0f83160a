"""PyTorch weights in the layout of Cadene's pretrained-models and timm's `legacy_xception`."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from src.metadata.json_beside import read_json_beside
from src.metadata.metadata import Metadata, parse_metadata
from src.metadata.model_entries import METADATA_KEY
from tools.weight_formats.layers import Weights, fold_normalization, rename, shown, xception_layers
from tools.weight_formats.safetensors_files import read_safetensors
from tools.weight_formats.tensors import Read, StoredTensor, read_values
from tools.weight_formats.timm_settings import MEAN, STD, read_settings
from tools.weight_formats.torch_archive import read_torch_file
from tools.weight_formats.torch_pickle import Placeholder

# The same layers have the same names; PyTorch calls the parameters of a batch norm otherwise.
_NORM_PARAMETERS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# What training programs keep the weights under, beside their own state, and what their moving average.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema")
# What they put in front of the names: DataParallel, torch.compile, Lightning and classes with the network inside.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_COUNTS = (".num_batches_tracked", "n_averaged")  # of training batches, and of the steps in an average
_DEPTH = 4  # of wrappers in one another


def read_torch(path: Path, raw: bool = False) -> Read:
    """Read a .pth or .safetensors file.

    Args:
        path: The file.
        raw: Whether to take the weights themselves where the file holds their moving average too.

    Returns:
        The weights, what is told of them, and a note where they are an average.

    Raises:
        ValueError: If the file is damaged or holds other things than tensors, or is no Xception, or raw is on and there
            is no average, or what is told of the weights is damaged or cannot be.
    """
    content, average = None, ""
    if path.suffix == ".safetensors":
        tensors, texts = read_safetensors(path)
        metadata = parse_metadata(texts[METADATA_KEY], str(path)) if METADATA_KEY in texts else None
    else:
        content = read_torch_file(path)
        tensors, average = _find_tensors(content, path, raw)
        metadata = read_json_beside(path)
    if raw and not average:
        raise ValueError(f"{path} holds no moving average: leave out --raw")
    names = {theirs: ours for ours, theirs in _torch_names().items()}
    weights = rename(_plain_names(tensors, path), names, path)
    # Cadene's first files keep 1 x 1 kernels as matrices.
    weights = {
        name: tensor.as_kernel() if name.endswith("pointwise.weight") else tensor for name, tensor in weights.items()
    }
    notes = [f"took {average}, the moving average of the weights: --raw takes the weights themselves"]
    return _as_told(read_values(weights, path), notes if average and not raw else [], path, metadata, content)


def to_torch(weights: Weights, path: Path, metadata: Metadata) -> bytes:
    """Return the content of a file for timm's `legacy_xception`.

    Args:
        weights: All weights.
        path: Its future name: .safetensors is written as such, any other as PyTorch's own format, which needs torch.
        metadata: What the weights mean, for .safetensors; an entry more in the other would pass for a weight.

    Raises:
        ValueError: If a package is missing.
    """
    names = _torch_names()
    tensors = {names[ours]: np.ascontiguousarray(value) for ours, value in weights.items()}
    if path.suffix == ".safetensors":
        return _safetensors().save(tensors, metadata={"format": "pt", METADATA_KEY: metadata.to_json()})
    torch = _torch()
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value.copy()) for name, value in tensors.items()}, buffer)
    return buffer.getvalue()


def _as_told(weights: Weights, notes: list[str], path: Path, metadata: Metadata | None, content: Any) -> Read:
    """Return weights for images as this project normalises them, with what this project or else timm tells of them."""
    if metadata:
        return Read(weights, tuple(notes), metadata)
    settings = read_settings(path, content)
    if (settings.mean, settings.std) != (MEAN, STD):
        mean, std = ([255 * value for value in values] for values in (settings.mean, settings.std))
        weights = fold_normalization(weights, mean, std)
        notes.append(f"folded the images' mean {settings.mean} and deviation {settings.std} into conv1 and bn1")
    return Read(weights, (*notes, *settings.notes), said=settings.said)


def _torch_names() -> dict[str, str]:
    """Return PyTorch's name of every parameter of this project."""
    names = {}
    for layer in xception_layers():
        for name in layer.parameters:
            prefix, _, parameter = name.rpartition(".")
            names[name] = f"{prefix}.{_NORM_PARAMETERS[parameter]}" if layer.kind == "norm" else name
    return names


def _find_tensors(content: Any, path: Path, raw: bool) -> tuple[dict[str, StoredTensor], str]:
    """Return the tensors by their names, and under what name a file keeps their moving average; empty for none."""
    average = ""
    for _ in range(_DEPTH):
        if not isinstance(content, dict):
            break
        if averages := [name for name in _AVERAGES if content.get(name) is not None]:
            average = averages[0]
            if not raw:
                content = content[average]
                if not isinstance(content, dict):
                    raise ValueError(f"{path} keeps no mapping of names to tensors under {average}: add --raw")
                continue
        wrappers = [name for name in _WRAPPERS if isinstance(content.get(name), dict)]
        if not wrappers:
            break
        if len(wrappers) > 1:
            raise ValueError(f"{path} holds weights under {' and '.join(wrappers)}: save one state_dict() alone")
        content = content[wrappers[0]]
    return _checked(content, path), average


def _checked(content: Any, path: Path) -> dict[str, StoredTensor]:
    """Return a mapping of names to tensors if it is one."""
    if isinstance(content, dict) and content and all(isinstance(name, str) for name in content):
        objects = {name: value for name, value in content.items() if isinstance(value, Placeholder)}
        if len(objects) + sum(isinstance(value, StoredTensor) for value in content.values()) == len(content):
            for name, value in objects.items():
                kind = value.origin or "tensor of another kind"
                raise ValueError(
                    f"cannot read {path} as PyTorch weights, without running code from it: {shown(name)} is made by "
                    f"{shown(kind)} and no plain tensor: save tensor.float().contiguous()"
                )
            return content
    found = f", but a {shown(content.origin)}" if isinstance(content, Placeholder) and content.origin else ""
    raise ValueError(f"{path} holds no mapping of names to tensors{found}: save the model's state_dict()")


def _plain_names(tensors: Mapping[str, StoredTensor], path: Path) -> dict[str, StoredTensor]:
    """Return the tensors that something is computed with, by the names that the network itself gives them."""
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNTS)}
    while prefix := _common_prefix(tensors):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    # Cadene's own class calls the classifier last_linear.
    named = {}
    for name, tensor in tensors.items():
        plain = f"fc.{name.removeprefix('last_linear.')}" if name.startswith("last_linear.") else name
        if plain in named:
            raise ValueError(f"{path} holds {plain} twice, as last_linear too: leave one out")
        named[plain] = tensor
    return named


def _common_prefix(names: Collection[str]) -> str:
    """Return what stands in front of all names, of the prefixes that are known; empty for none."""
    return next((prefix for prefix in _PREFIXES if names and all(name.startswith(prefix) for name in names)), "")


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            "torch, which writes .pth files, is missing: pip install torch, or write .safetensors"
        ) from error
    return torch


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ValueError("safetensors is missing: pip install -r requirements-convert.txt") from error
    return safetensors.numpy
