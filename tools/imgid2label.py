"""Write the label file of a data set of class folders: a line 'class folder/image:label' for every image."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.common.files import atomic_write
from src.data.image_folders import IMAGE_SUFFIXES, class_names, find_images
from src.data.record_set import find_records
from src.evaluation.label_file import format_labels
from src.model_utils.command import run_command


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ValueError: If the folder has no class folders, or no images in them, or a name that no label file can hold.
        OSError: If a folder cannot be read or the file cannot be written.
    """
    parser = argparse.ArgumentParser(prog="imgid2label.py", description=__doc__)
    parser.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="the folder with one sub-folder per class")
    parser.add_argument("out", type=Path, metavar="OUT", help="the label file to write")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    labels = label_images(args.data_dir)
    atomic_write(args.out, os.fsencode(format_labels(labels)))
    print(f"wrote {args.out}: {len(labels)} images in {len(set(labels.values()))} classes")


def label_images(folder: Path) -> dict[str, int]:
    """Return the class of every image, numbered as in training.

    Args:
        folder: The folder with one sub-folder per class.

    Returns:
        The position of the class folder in sorted order, by the image's path relative to the folder.

    Raises:
        ValueError: If there is no image in a class folder, or a part of the MindRecord files is missing.
        OSError: If a folder cannot be read.
    """
    # Training takes MindRecord files, with the classes that they have, before the class folders beside them.
    records = find_records(str(folder))
    names = records.class_names if records else class_names(str(folder))
    labels = {}
    for label, name in enumerate(names):
        for path in find_images(folder / name):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                labels[path.relative_to(folder).as_posix()] = label
    if not labels:
        raise ValueError(f"no images in the class folders of {folder}: they need files {' '.join(IMAGE_SUFFIXES)}")
    return labels


if __name__ == "__main__":
    sys.exit(run_command(main))
