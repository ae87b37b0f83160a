"""Images named on a command line: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from src.data.image_folders import find_images


def named_images(words: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Find the files that words name.

    Args:
        words: Each a file, a folder, of which all images count at any depth, or a pattern such as `photos/**/*.jpg`. A
            file of that very name comes before a pattern.

    Returns:
        The files in the order of the words, each once, and the reason for every word or folder that gave none.
    """
    found: dict[str, Path] = {}  # by absolute path
    problems: dict[str, str] = {}
    for word in words:
        matches = [word] if os.path.lexists(word) else sorted(glob.glob(word, recursive=True))
        if not matches:
            problems[word] = "nothing matches this pattern" if glob.has_magic(word) else "no such file"
        for path in _open_folders(matches, problems):
            found.setdefault(os.path.abspath(path), path)
    return list(found.values()), problems


def _open_folders(paths: Iterable[str], problems: dict[str, str]) -> list[Path]:
    """Return files as they are, and folders as the images below them."""
    files: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(Path(path))
            continue
        try:
            images = find_images(Path(path))
        except OSError as error:
            problems[str(error.filename)] = error.strerror or str(error)
            continue
        if not images:
            problems[path] = "no images in this folder"
        files += images
    return files
