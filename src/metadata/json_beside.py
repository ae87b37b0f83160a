"""Metadata in a file of its own, beside weights whose format has no place for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from src.common.files import atomic_write
from src.metadata.metadata import Metadata, parse_metadata

_SUFFIX = ".json"


def json_path(weights: Path) -> Path:
    """Return the file with the metadata of a file of weights: its whole name and .json."""
    return weights.with_name(weights.name + _SUFFIX)


def write_json_beside(weights: Path, content: bytes, metadata: Metadata) -> Path:
    """Write the metadata of a file of weights beside it, with the digest of that file, and return the path.

    Args:
        weights: The file.
        content: What it holds.
        metadata: What its weights mean.

    Raises:
        OSError: If the file cannot be written.
    """
    path = json_path(weights)
    described = {**json.loads(metadata.to_json()), "sha256": hashlib.sha256(content).hexdigest()}
    atomic_write(path, json.dumps(described, indent=1) + "\n")
    return path


def read_json_beside(weights: Path) -> Metadata | None:
    """Return what the file beside a file of weights says of them, None where there is none; links are followed.

    Args:
        weights: The file.

    Raises:
        ValueError: If the metadata is damaged, of a newer format, or belongs to other weights.
        OSError: If either cannot be read.
    """
    weights = weights.resolve()
    path = json_path(weights)
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
        metadata = parse_metadata(text, str(path))
        digest = json.loads(text).get("sha256")
    except UnicodeDecodeError as error:
        raise ValueError(f"the metadata in {path} is damaged: it is no UTF-8 text") from error
    if digest is not None and digest != hashlib.sha256(weights.read_bytes()).hexdigest():
        raise ValueError(f"{path} describes other weights than those in {weights}: keep the two files of one run")
    return metadata
