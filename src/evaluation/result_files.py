"""The accuracy of result files, the logits that the program for the Ascend 310 has written, one file an image."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.common.files import from_cell
from src.data.image_folders import IMAGE_SUFFIXES
from src.data.label_file import Labels
from src.evaluation.accuracy import Accuracy
from src.metadata.metadata import Metadata, parse_metadata

_TABLE = "predictions.csv"
_DESCRIPTION = "metadata.json"
_SUFFIX = ".bin"
_ENDING = f"_0{_SUFFIX}"
_LOGIT_BYTES = 4
_LONGEST_NAME = 255  # bytes


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the names that the inference program of ascend310_infer gives to its result files.

    Args:
        paths: Paths of all images, relative to the data set's folder.

    Returns:
        By path: the path with / as __, without the image suffix, and `_0.bin`. Images that differ in nothing but the
        suffix keep it. A name that is too long for a file is cut at a letter, and ends in ~, 16 digits of the SHA-256
        of the path, and `_0.bin`.
    """
    stems = {path: _without_suffix(path) for path in paths}
    uses = Counter(stems.values())
    return {path: _to_name(stem if uses[stem] == 1 else path, path) for path, stem in stems.items()}


def _to_name(stem: str, path: str) -> str:
    name = stem.replace("/", "__") + _ENDING
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
    ending = f"~{digest[:16]}{_ENDING}"
    kept = _LONGEST_NAME - len(ending)
    while kept > 0 and data[kept] & 0xC0 == 0x80:  # inside a letter of UTF-8
        kept -= 1
    return data[:kept].decode("utf-8", "surrogateescape") + ending


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
        folder: Where the result files are; other files than .bin are passed over. Where there is a predictions.csv, the
            results are those of the images that it lists: others were there before.
        labels: The true classes.

    Returns:
        The accuracy and the problems. The number of classes is that of most files.

    Raises:
        ValueError: If there is no image with a label and a result, or predictions.csv is no table of images.
        OSError: If the folder or a file cannot be read.
    """
    present = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name.endswith(_SUFFIX)}
    listed = _listed_images(folder)
    every = result_names(dict.fromkeys([*labels.by_path, *(listed or ())]))
    names = {path: every[path] for path in labels.by_path}
    stale = [] if listed is None else sorted(present.keys() - {every[path] for path in listed})
    for name in stale:
        del present[name]
    owners = Counter(names.values())
    found = {path: name for path, name in names.items() if name in present and owners[name] == 1}
    if not found:
        raise ValueError(_explain_no_result(folder, labels, names))
    ((size, _),) = Counter(present[name] for name in found.values()).most_common(1)
    classes = max(size // _LOGIT_BYTES, 1)
    accuracy = Accuracy(classes)
    beyond = {path: label for path, label in labels.by_path.items() if label >= classes}
    malformed = [*labels.malformed, *(f"{name} is the result of several images" for name in owners if owners[name] > 1)]
    for path, name in found.items():
        reason = "" if path in beyond else _score(folder / name, size, labels.by_path[path], accuracy)
        if reason:
            malformed.append(f"{name} {reason}")
    problems = {
        "missing results": [f"{name}, the result of {path}" for path, name in names.items() if name not in present],
        f"results that {_TABLE} does not list, so of another run": stale,
        "results without a label": sorted(present.keys() - names.values()),
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


def _listed_images(folder: Path) -> list[str] | None:
    """Return the paths of the images that predictions.csv lists, None where there is none.

    Raises:
        ValueError: If it is no table of images, or an empty one.
    """
    path = folder / _TABLE
    if not path.exists():
        return None
    # A file name need not be valid UTF-8.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        rows = csv.DictReader(stream)
        if "path" not in (rows.fieldnames or ()):
            raise ValueError(
                f"{path} is not the inference program's: it has no column path; without it, all result files count"
            )
        listed = list(dict.fromkeys(from_cell(row["path"]) for row in rows))
    if not listed:
        raise ValueError(f"{path} lists no image: the inference program has skipped them all")
    return listed


def _explain_no_result(folder: Path, labels: Labels, names: Mapping[str, str]) -> str:
    first = next(iter(names.values()), "(there is no label)")
    reasons = [
        f"no file in {folder} is the result of a labelled image: the first one's would be {first}",
        *labels.malformed[:1],
        "tools/imgid2label.py writes label files",
    ]
    return "; ".join(reasons)


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
