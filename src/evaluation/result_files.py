"""The accuracy of result files, the logits that the program for the Ascend 310 has written, one file an image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.image_folders import IMAGE_SUFFIXES
from src.evaluation.accuracy import Accuracy
from src.evaluation.label_file import Labels

_ENDING = "_0.bin"
_LOGIT_BYTES = 4


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the names that the inference program of ascend310_infer gives to its result files.

    Args:
        paths: Paths of all images, relative to the data set's folder.

    Returns:
        By path: the path with / as __, without the image suffix, and `_0.bin`. Images that differ in nothing but the
        suffix keep it.
    """
    stems = {path: _without_suffix(path) for path in paths}
    uses = Counter(stems.values())
    return {path: (stem if uses[stem] == 1 else path).replace("/", "__") + _ENDING for path, stem in stems.items()}


def _without_suffix(path: str) -> str:
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in IMAGE_SUFFIXES else path


@dataclass(frozen=True)
class Scored:
    """The accuracy of result files, and what stands in its way.

    Args:
        accuracy: Of the images that have a label and a good result.
        problems: Messages by kind; without any, every label has its result and the other way round.
    """

    accuracy: Accuracy
    problems: Mapping[str, Sequence[str]]


def score_results(folder: Path, labels: Labels) -> Scored:
    """Compare result files, raw float32 logits, with labels.

    Args:
        folder: Where the result files are; other files than .bin are passed over.
        labels: The true classes.

    Returns:
        The accuracy and the problems. The number of classes is that of most files.

    Raises:
        ValueError: If there is no image with a label and a result.
        OSError: If the folder or a file cannot be read.
    """
    present = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(".bin")}
    names = result_names(labels.by_path)
    owners = Counter(names.values())
    scored = {path: name for path, name in names.items() if name in present and owners[name] == 1}
    if not scored:
        raise ValueError(
            f"no file in {folder} is the result of a labelled image: the first one's would be "
            f"{next(iter(names.values()), '(there is no label)')}"
        )
    ((size, _),) = Counter(present[name] for name in scored.values()).most_common(1)
    accuracy = Accuracy(max(size // _LOGIT_BYTES, 1))
    malformed = [*labels.malformed, *(f"{name} is the result of several images" for name in owners if owners[name] > 1)]
    for path, name in scored.items():
        reason = _score(folder / name, size, labels.by_path[path], accuracy)
        if reason:
            malformed.append(f"{name} {reason}")
    problems = {
        "missing results": [f"{name}, the result of {path}" for path, name in names.items() if name not in present],
        "results without a label": sorted(present.keys() - names.values()),
        "malformed results or lines": malformed,
    }
    return Scored(accuracy, {kind: messages for kind, messages in problems.items() if messages})


def _score(path: Path, size: int, label: int, accuracy: Accuracy) -> str:
    """Add one result to the accuracy; return the reason where it is no good, else an empty text."""
    data = path.read_bytes()
    classes = len(accuracy.confusion)
    if len(data) != size or len(data) != classes * _LOGIT_BYTES:
        return f"has {len(data)} bytes, not the {classes * _LOGIT_BYTES} of {classes} float32 logits"
    if label >= classes:
        return f"has {classes} logits, but its label is {label}"
    logits = np.frombuffer(data, "<f4")[None]
    if not np.isfinite(logits).all():
        return "has logits that are NaN or infinite"
    accuracy.add(logits, np.array([label]))
    return ""
