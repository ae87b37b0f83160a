"""Whether the labels of images are a model's numbers, as far as the names of their folders tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from src.common.files import printable
from src.data.class_matching import ModelClasses
from src.data.label_file import Labels


class _Folder(NamedTuple):
    """A folder with the name of a class, and the numbers of the classes of this name."""

    name: str
    labels: tuple[int, ...]


def check_labels(labels: Labels, model: ModelClasses) -> bool:
    """Compare labels with the numbers of the classes that folders on the images' paths are named like.

    Args:
        labels: The labels.
        model: The model's classes; without names there is nothing to compare.

    Returns:
        Whether every image lies in a folder of its class.

    Raises:
        ValueError: If images lie in the folder of another class than their label's.
    """
    found = [(label, _class_folders(path, model)) for path, label in labels.by_path.items()]
    wrong = {
        (folders[0], label): None
        for label, folders in found
        if folders and not any(label in folder.labels for folder in folders)
    }
    if wrong:
        raise ValueError(_explain(list(wrong), model))
    return all(folders for _, folders in found)


def _class_folders(path: str, model: ModelClasses) -> list[_Folder]:
    """Return the folders on a path that are named like a class."""
    names = path.split("/")[:-1]
    return [_Folder(name, tuple(numbers)) for name in names if (numbers := model.labels_of(name))]


def _explain(wrong: Sequence[tuple[_Folder, int]], model: ModelClasses) -> str:
    folder, label = wrong[0]
    name = printable(folder.name)
    number = " or ".join(map(str, folder.labels))
    if label < model.count:
        contrary = f"the model's class {label} is '{printable(model.names[label])}' and '{name}' is {number}"
    else:
        contrary = f"the model has the classes 0 to {model.count - 1} and '{name}' is {number}"
    more = f" (and {len(wrong) - 1} more such)" if len(wrong) > 1 else ""
    return (
        f"the label file gives images of the folder '{name}' the label {label}{more}, but {contrary}: "
        "write it again by tools/imgid2label.py --model FILE"
    )
