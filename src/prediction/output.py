"""Predictions as text: a table for people, JSON and CSV for programs; and the features of the images as a file."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np

from src.common.files import atomic_write, printable, to_csv
from src.prediction.predictor import Predictions
from src.prediction.ranking import Prediction


def to_table(predictions: Predictions) -> str:
    """Return a line for each class of each image, the name of the image before its first."""
    rows = [
        ("" if place else printable(image.path), f"{probability:.2%}".replace("%", " %"), str(label), printable(name))
        for image in predictions.images
        for place, (label, probability, name) in enumerate(_classes(image, predictions))
    ]
    header = ("image", "probability", "class", "name")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (
        f"{image:<{widths[0]}}  {probability:>{widths[1]}}  {label:>{widths[2]}}  {name}"
        for image, probability, label, name in (header, *rows)
    )
    return "".join(f"{line}\n" for line in lines) if rows else ""


def to_json(predictions: Predictions) -> str:
    """Return an object with `images`, each with its `predictions`, best first, and `skipped`, each with its reason."""
    images = [
        {
            "image": _utf8(image.path),
            "predictions": [
                {"class": label, "name": name, "probability": probability}
                for label, probability, name in _classes(image, predictions)
            ],
        }
        for image in predictions.images
    ]
    skipped = [{"image": _utf8(path), "reason": reason} for path, reason in predictions.skipped.items()]
    return json.dumps({"images": images, "skipped": skipped}, indent=2) + "\n"


def to_csv_table(predictions: Predictions) -> str:
    """Return a line for each class of each image: `image,rank,class,name,probability`; the rank counts from 1.

    Names that a spreadsheet would run as formulas begin with an apostrophe, as `to_cell` says.
    """
    rows = [
        (_utf8(image.path), rank, label, name, probability)
        for image in predictions.images
        for rank, (label, probability, name) in enumerate(_classes(image, predictions), start=1)
    ]
    return to_csv([("image", "rank", "class", "name", "probability"), *rows])


def write_features(path: Path, predictions: Predictions) -> str:
    """Write the features of the images that have a prediction, and return what there is to say of that.

    Args:
        path: Ends in .npz, for arrays `paths`, text (N,), and `features`, float32 (N, 2048); or in .csv, for lines
            `image,feature_0,...`. Without any image nothing is written.
        predictions: With features.

    Raises:
        OSError: If the file cannot be written.
    """
    features = predictions.features
    if features is None:
        return f"{path} is not written: no image has a prediction"
    paths = [_utf8(image.path) for image in predictions.images]
    if path.suffix == ".npz":
        stream = io.BytesIO()
        np.savez(stream, paths=np.array(paths), features=features)
        atomic_write(path, stream.getvalue())
    else:
        header = ("image", *(f"feature_{number}" for number in range(features.shape[1])))
        rows = ((image, *row) for image, row in zip(paths, features, strict=True))
        atomic_write(path, to_csv([header, *rows]))
    return f"wrote {path}: {features.shape[1]} features of each of {len(paths)} images"


def _utf8(path: str | os.PathLike[str]) -> str:
    """Return a path for programs: as it is, but for bytes that are no UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _classes(image: Prediction, predictions: Predictions) -> list[tuple[int, float, str]]:
    """Return number, probability and name of each class of an image."""
    pairs = zip(image.classes, image.probabilities, strict=True)
    return [(label, probability, predictions.class_names[label]) for label, probability in pairs]
