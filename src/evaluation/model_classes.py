"""The classes of the model that is evaluated, with the names that they have."""

from __future__ import annotations

from pathlib import Path

from src.checkpoints.names import CLASS_NAMES
from src.data.class_matching import ModelClasses
from src.data.class_names import read_class_names


def classes_of(weights: Path, num_classes: int) -> ModelClasses:
    """Return the classes of a model with the names of class_names.txt beside its real file, if there is one.

    Args:
        weights: File of the model, or a link to it.
        num_classes: Number of its classes.

    Raises:
        ValueError: If that file has another number of names, or is no UTF-8 text.
        OSError: If it cannot be read.
    """
    path = weights.resolve().with_name(CLASS_NAMES)
    names = read_class_names(path) if path.exists() else []
    if names and len(names) != num_classes:
        raise ValueError(
            f"{path} has {len(names)} names, but {weights} beside it has {num_classes} classes: put the file of its "
            f"own training there, or remove this one"
        )
    return ModelClasses(str(weights), num_classes, tuple(names))
