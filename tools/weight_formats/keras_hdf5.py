"""The layers in an HDF5 file of Keras: groups of Keras 3 in one another, or the lists of names of older versions."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from src.metadata.metadata import Metadata
from src.metadata.model_entries import METADATA_KEY
from tools.weight_formats.layers import shown, xception_layers
from tools.weight_formats.tensors import StoredTensor

# The order of a layer's variables, by what their names end in; older versions may list those that learn first.
_ORDER = ("kernel", "depthwise_kernel", "pointwise_kernel", "gamma", "beta", "bias", "moving_mean", "moving_variance")
_NO_LAYERS = ("vars", "optimizer", "seed_generator")


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a file.

    Args:
        name: Its name there, which old files of Keras 3 lack.
        variables: Its variables in their order.
        bytes: What the file declares for them.
    """

    name: str
    variables: list[StoredTensor]
    bytes: int


@dataclass(frozen=True)
class Stored:
    """What an HDF5 file holds.

    Args:
        layers: The layers with weights, those of a kind in the order of their computation.
        names: The names, or those of the classes, of all layers that the file mentions.
        model: Keras's description of the whole model in JSON; None where the file has weights alone.
        metadata: The JSON text that this project writes beside its weights; None in other files.
        version: Keras's version; empty where the file does not tell.
    """

    layers: list[StoredLayer]
    names: list[str]
    model: str | None
    metadata: str | None = None
    version: str = ""


def import_h5py() -> ModuleType:
    """Return the module h5py, or raise ValueError that tells how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ValueError("h5py, which Keras files need, is missing: pip install -r requirements-convert.txt") from error
    return h5py


def with_number(name: str) -> tuple[str, int]:
    """Return a key that sorts conv2d_2 before conv2d_10."""
    match = re.fullmatch(r"(.*?)(?:_([0-9]{1,9}))?", name, re.DOTALL)
    assert match
    return match[1], int(match[2] or 0)


def read_layers(file: Any, path: Path) -> Stored:
    """Return what an open file of h5py declares; its numbers can be read as long as it is open.

    Raises:
        ValueError: If it is none of Keras, or refers to other files.
    """
    metadata = _read_text(file, METADATA_KEY, path) if METADATA_KEY in file else None
    root = _inside(file, "model_weights", path) if "model_weights" in file else file
    if "layer_names" not in root.attrs and "layer_names0" not in root.attrs:
        names: list[str] = []
        layers = list(_walk(file, path, set(), names))
        if not layers:
            raise ValueError(f"{path} holds neither a group 'layers' nor 'layer_names': it is no file of Keras weights")
        return Stored(layers, names, None, metadata)
    names = _attribute(root, "layer_names")
    layers = [layer for name in names for layer in _listed(_inside(root, name, path), name, path)]
    model = file.attrs.get("model_config")
    version = _text(root.attrs.get("keras_version", ""))
    return Stored(layers, names, None if model is None else _text(model), metadata, version)


def write_metadata(file: Any, metadata: Metadata) -> None:
    """Write what weights mean into an open file of h5py: as a text of its own, for an attribute ends at 64 KiB."""
    file[METADATA_KEY] = np.bytes_(metadata.to_json())


def _read_text(file: Any, name: str, path: Path) -> str:
    """Return a text of the file itself."""
    dataset = _inside(file, name, path)
    stored = _declared(dataset, path)
    if stored.shape != () or dataset.dtype.kind != "S":
        raise ValueError(f"{path} holds no text under {name}")
    return bytes(stored.read()).decode("ascii", "replace")


def _walk(group: Any, path: Path, seen: set[int], names: list[str]) -> Iterator[StoredLayer]:
    """Yield the layers of Keras 3's groups, and note the names of all; models are groups with layers of their own."""
    address = import_h5py().h5o.get_info(group.id).addr
    if address in seen:
        raise ValueError(f"{path} holds the group {shown(group.name)} twice")
    seen.add(address)
    if "vars" in group:
        variables = _inside(group, "vars", path)
        if not all(re.fullmatch("[0-9]{1,9}", index) for index in variables):
            raise ValueError(f"{path} does not number the variables of {shown(group.name)}")
        if len(variables):  # layers without weights have an empty group
            found = [_inside(variables, index, path) for index in sorted(variables, key=int)]
            yield _layer(_text(variables.attrs.get("name", "")), found, path)
    for name in sorted(group, key=with_number):
        if name in _NO_LAYERS:
            continue
        child = _inside(group, name, path)
        if hasattr(child, "keys"):
            names.append(name)
            yield from _walk(child, path, seen, names)


def _listed(group: Any, name: str, path: Path) -> list[StoredLayer]:
    """Return the layer, or the layers of a model inside the model, whose variables are listed in a group."""
    listed = defaultdict(list)
    for variable in _attribute(group, "weight_names"):
        listed[variable.rpartition("/")[0]].append(variable)
    layers = []
    for prefix, variables in listed.items():
        ordered = sorted(variables, key=_place) if prefix else variables  # the first versions did not tell layers apart
        layer = prefix.rpartition("/")[2] if len(listed) > 1 else name
        layers.append(_layer(layer, [_inside(group, variable, path) for variable in ordered], path))
    return _in_order(layers) if len(layers) > 1 else layers


def _place(variable: str) -> int:
    name = variable.rpartition("/")[2].partition(":")[0]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _in_order(layers: list[StoredLayer]) -> list[StoredLayer]:
    """Return the layers of a model, which may list those that learn first, in the order of their computation."""
    names = [layer.keras_name for layer in xception_layers()]
    shortcuts = {
        kind: [place for place, layer in enumerate(xception_layers()) if (layer.keras_name, layer.kind) == ("", kind)]
        for kind in ("convolution", "norm")
    }
    unnamed = defaultdict(list)
    for layer in layers:
        if layer.name not in names:
            unnamed[{1: "convolution", 4: "norm"}.get(len(layer.variables), "other")].append(layer)
    places = {
        layer.name: place
        for kind, found in unnamed.items()
        for layer, place in zip(
            sorted(found, key=lambda layer: with_number(layer.name)), shortcuts.get(kind, []), strict=False
        )
    }
    return sorted(
        layers, key=lambda layer: names.index(layer.name) if layer.name in names else places.get(layer.name, len(names))
    )


def _layer(name: str, datasets: list[Any], path: Path) -> StoredLayer:
    variables = [_declared(dataset, path) for dataset in datasets]
    sizes = (math.prod(dataset.shape) * dataset.dtype.itemsize for dataset in datasets)
    return StoredLayer(name, variables, sum(sizes))


def _declared(dataset: Any, path: Path) -> StoredTensor:
    """Return a data set of the file itself; HDF5 can refer to others of the machine, and leave out numbers."""
    if getattr(dataset, "shape", None) is None:
        raise ValueError(f"{path} holds no numbers under {shown(dataset.name)}")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path} keeps {shown(dataset.name)} in another file")

    def read() -> np.ndarray:
        if dataset.chunks is None:
            held, whole = dataset.id.get_storage_size(), math.prod(dataset.shape) * dataset.dtype.itemsize
        else:
            held = dataset.id.get_num_chunks()
            whole = math.prod(
                math.ceil(size / chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
            )
        if held != whole:
            raise ValueError(f"only {held:,} of {whole:,} {'bytes' if dataset.chunks is None else 'parts'} are there")
        return dataset[()]

    return StoredTensor(dataset.shape, dataset.dtype.name, read)


def _inside(group: Any, name: str, path: Path) -> Any:
    """Return what a group holds by a name, or a path of names, if no link leads to it, which may leave the file."""
    h5py = import_h5py()
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or not part:
            raise ValueError(f"{path} lacks {shown(name)}")
        link = group.get(part, getlink=True)
        if link is None:
            raise ValueError(f"{path} lacks {shown(name)}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path} keeps {shown(name)} in another file, or under another name")
        group = group[part]
    return group


def _attribute(group: Any, name: str) -> list[str]:
    """Return a list of names, which Keras splits into several attributes where it is long."""
    if name in group.attrs:
        return [_text(value) for value in group.attrs[name]]
    parts = itertools.takewhile(lambda key: key in group.attrs, (f"{name}{number}" for number in itertools.count()))
    return [_text(value) for part in parts for value in group.attrs[part]]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
