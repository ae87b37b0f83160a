"""The accuracy of result files, the logits that the program for the Ascend 310 has written, one file an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.evaluation.accuracy import Accuracy
from src.evaluation.result_matching import TABLE, Matched
from src.metadata.metadata import Metadata, parse_metadata

_DESCRIPTION = "metadata.json"
_LOGIT_BYTES = 4


@dataclass(frozen=True)
class Scored:
    """The accuracy of result files, and what stands in its way.

    Args:
        accuracy: Of the images that have a label and a good result.
        problems: Messages by kind; without any, every label has its result and the other way round.
    """

    accuracy: Accuracy
    problems: Mapping[str, Sequence[str]]


def score_results(matched: Matched) -> Scored:
    """Compare result files, raw float32 logits, with labels.

    Args:
        matched: The files and the true classes, with a result of at least one image.

    Returns:
        The accuracy and the problems. The number of classes is that of most files.

    Raises:
        OSError: If a file cannot be read.
    """
    labels, names, sizes = matched.labels, matched.names, matched.sizes
    owners = Counter(names.values())
    found = {path: name for path, name in names.items() if name in sizes and owners[name] == 1}
    ((size, _),) = Counter(sizes[name] for name in found.values()).most_common(1)
    classes = max(size // _LOGIT_BYTES, 1)
    accuracy = Accuracy(classes)
    beyond = {path: label for path, label in labels.by_path.items() if label >= classes}
    malformed = [*labels.malformed, *(f"{name} is the result of several images" for name in owners if owners[name] > 1)]
    for path, name in found.items():
        reason = "" if path in beyond else _score(matched.folder / name, size, labels.by_path[path], accuracy)
        if reason:
            malformed.append(f"{name} {reason}")
    problems = {
        "missing results": [f"{name}, the result of {path}" for path, name in names.items() if name not in sizes],
        f"results that {TABLE} does not list, so of another run": matched.stale,
        "results without a label": sorted(sizes.keys() - names.values()),
        f"labels beyond the {classes} classes of the logits, so of another model or data set": [
            f"{path}:{label}" for path, label in beyond.items()
        ],
        "malformed results or lines": malformed,
    }
    return Scored(accuracy, {kind: messages for kind, messages in problems.items() if messages})


def read_description(folder: Path) -> Metadata:
    """Return what the inference program says of the model whose results lie in a folder.

    Args:
        folder: Where the result files are. Programs other than this project's write no metadata.json: nothing is known
            then.

    Raises:
        ValueError: If metadata.json is damaged, or of a newer format.
        OSError: If it cannot be read.
    """
    path = folder / _DESCRIPTION
    if not path.exists():
        return Metadata()
    return parse_metadata(path.read_text("utf-8", errors="surrogateescape"), str(path))


def _score(path: Path, size: int, label: int, accuracy: Accuracy) -> str:
    """Add one result to the accuracy; return the reason where it is no good, else an empty text."""
    data = path.read_bytes()
    classes = len(accuracy.confusion)
    if len(data) != size or len(data) != classes * _LOGIT_BYTES:
        return f"has {len(data)} bytes, not the {classes * _LOGIT_BYTES} of {classes} float32 logits"
    logits = np.frombuffer(data, "<f4")[None]
    if not np.isfinite(logits).all():
        return "has logits that are NaN or infinite"
    accuracy.add(logits, np.array([label]))
    return ""
