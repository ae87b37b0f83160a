"""Where files and data sets lie that a person has named: in what was copied in, or beside the code."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from src.modelarts.filled_folder import MARK

CODE = Path(__file__).resolve().parents[2]


def find_file(name: str, given: str, copied: Path, code: Path = CODE) -> Path:
    """Find a file that a person has named.

    Args:
        name: Of the option, for the error.
        given: Its value: absolute, or relative to the copies or, as in the model zoo, to the folder of the code; a
            pattern such as `nets/*.ckpt` is where a file matches it.
        copied: Its path in the copies, which come first.
        code: The folder of the code.

    Returns:
        Its absolute path.

    Raises:
        FileNotFoundError: It is not there; the message names what was looked at.
    """
    places = list(dict.fromkeys(Path(os.path.abspath(path)) for path in (copied, code / given)))
    for place in places:
        if place.exists() or glob.glob(str(place), recursive=True):
            return place
    raise FileNotFoundError(f"{name} {given} is not there: looked at {' and '.join(map(str, places))}")


def find_unzipped(folder: Path, below: str) -> Path | None:
    """Find the images of a data set that was unzipped before it was copied in.

    Args:
        folder: Where the zip file of the same name, beside it, would be unzipped.
        below: Folder of the images in the zip file.

    Returns:
        The folder of the images: below `folder`, where that holds what was not unzipped here, or beside `folder`,
        where the zip file is missing; None if there is a zip file to unzip.

    Raises:
        FileNotFoundError: There is neither; the message names what was looked at.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return None if (folder / MARK).exists() else folder / below
    archive = folder.with_name(f"{folder.name}.zip")
    if archive.exists():
        return None
    beside = Path(os.path.normpath(folder.parent / below))
    if beside != folder.parent and beside.is_dir():
        return beside
    places = dict.fromkeys((archive, folder, *([] if beside == folder.parent else [beside])))
    raise FileNotFoundError(f"the data set {folder.name} is not there: looked at {', '.join(map(str, places))}")
