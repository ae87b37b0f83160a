"""Write the label file of a data set of class folders: a line 'class folder/image:label' for every image.

The labels are a model's numbers, found by the names of its classes, where --model or --class_names tells these; else
the positions of the class folders. --dataset_path and --output_name are the model zoo's names of DATA_DIR and OUT.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import atomic_write, printable, user_path
from src.data.class_map import ClassMap, read_class_map
from src.data.class_matching import MatchedClasses, ModelClasses, first_of, match_classes
from src.data.image_folders import IMAGE_SUFFIXES
from src.data.label_file import format_labels
from src.data.listing import describe_images, list_images
from src.data.record_set import data_set_classes
from src.export.model_file import MODEL_SUFFIXES
from src.metadata.class_list import read_class_list
from src.metadata.metadata import Metadata
from src.metadata.model_entries import read_model_metadata
from src.model_utils.beside import find_beside
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.make_mindrecord import add_recursive

_CHECKPOINT = ".ckpt"
_MODEL_ZOO_OUT = "img_id_2_label.txt"


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If the model has no names, or a class folder is no class of it.
        ValueError: If the folder has no class folders, or no images in them, or a name that no label file can hold; or
            the model is damaged.
        OSError: If a folder or file cannot be read or the label file cannot be written.
    """
    args = _parse(argv)
    class_map = read_class_map(args.class_map) if args.class_map else None
    model = _find_model(args.model, args.class_names)
    if class_map and not model:
        raise ConfigError("--class_map says which class of a model a folder is: give --model or --class_names too")
    folders = data_set_classes(str(args.data_dir))
    matched = _match(folders, args.data_dir, model, class_map)
    labels = label_images(args.data_dir, dict(zip(folders, matched.labels, strict=True)), args.recursive)
    atomic_write(args.out, os.fsencode(format_labels(labels)))
    for note in matched.notes:
        print(printable(note), file=sys.stderr)
    present = set(labels.values())
    count = f"{len(present)} of the model's {model.count}" if model else str(len(present))
    print(f"wrote {args.out}: {len(labels)} images in {count} classes")
    absent = [name for label, name in enumerate(matched.names) if label not in present] if model else []
    if absent:
        print(f"classes without an image: {printable(first_of(absent))}")


def label_images(folder: Path, numbers: Mapping[str, int], recursive: bool = False) -> dict[str, int]:
    """Return the class of every image, by the image's path relative to the folder, and say how many there are.

    Args:
        folder: The folder with one sub-folder per class.
        numbers: The class of each sub-folder's images, by its name.
        recursive: Whether images in sub-folders of these count.

    Raises:
        ValueError: If there is no image in a class folder.
        OSError: If a folder cannot be read.
    """
    listing = list_images(str(folder), list(numbers), recursive)
    labels = {
        Path(path).relative_to(folder).as_posix(): numbers[name]
        for name, paths in listing.images.items()
        for path in paths
    }
    if not labels:
        raise ValueError(f"no images in the class folders of {folder}: they need files {' '.join(IMAGE_SUFFIXES)}")
    if listing.unread:
        counts = {name: len(paths) for name, paths in listing.images.items()}
        print("\n".join(describe_images(str(folder), counts, listing.unread)), file=sys.stderr)
    return labels


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="imgid2label.py", description=__doc__)
    parser.add_argument(
        "data_dir", type=user_path, metavar="DATA_DIR", nargs="?", help="the folder with one sub-folder per class"
    )
    add_recursive(parser)
    parser.add_argument("out", type=user_path, metavar="OUT", nargs="?", help="the label file to write")
    parser.add_argument("--dataset_path", type=user_path, metavar="DIR", help="the model zoo's name of DATA_DIR")
    parser.add_argument(
        "--output_name",
        type=user_path,
        metavar="FILE",
        help=f"the model zoo's name of OUT; with --dataset_path {_MODEL_ZOO_OUT} if not given",
    )
    names = parser.add_mutually_exclusive_group()
    names.add_argument(
        "--model",
        type=user_path,
        metavar="FILE",
        help="the .mindir, .onnx or .ckpt file whose classes the labels number",
    )
    names.add_argument(
        "--class_names",
        type=user_path,
        metavar="FILE",
        help="a UTF-8 text with the name of class 0, 1, ... on its lines",
    )
    parser.add_argument(
        "--class_map",
        type=user_path,
        metavar="FILE",
        help="CSV of folder,class for folders that have another name than their class",
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    if args.dataset_path and not args.output_name and not args.out:
        args.output_name = Path(_MODEL_ZOO_OUT)
    for name, old in (("data_dir", "dataset_path"), ("out", "output_name")):
        here, there = getattr(args, name), getattr(args, old)
        if here and there:
            raise ConfigError(f"{here} and --{old}={there} are the same argument, {name.upper()}: give one of them")
        if not (here or there):
            raise ConfigError(f"{name.upper()} is missing: call it as imgid2label.py DATA_DIR OUT")
        setattr(args, name, here or there)
    return args


def _find_model(model: Path | None, names: Path | None) -> ModelClasses | None:
    """Return the classes that a model file or a text file tells, None without either."""
    if names:
        found = tuple(read_class_list(names))
        return ModelClasses(str(names), len(found), found)
    if not model:
        return None
    metadata, count = _read_description(model)
    source, found = model, metadata.class_names if metadata else ()
    if not found:
        beside = find_beside(model)
        found = beside.metadata.class_names
        if found:
            source = beside.files[-1]
            print(f"{model} does not tell the names of its classes: taken from {source}", file=sys.stderr)
    if not found:
        raise ConfigError(f"{model} does not tell the names of its classes: give a file of them with --class_names")
    if count not in (None, len(found)):
        raise ValueError(f"{source} has {len(found)} names, but {model} has {count} classes: it belongs to others")
    return ModelClasses(str(model), len(found), found)


def _read_description(model: Path) -> tuple[Metadata | None, int | None]:
    """Return what a model says of itself, and its number of classes where that is known without running it."""
    if model.suffix in MODEL_SUFFIXES:
        return read_model_metadata(model), None
    if model.suffix != _CHECKPOINT:
        raise ConfigError(f"--model is a file {' '.join(MODEL_SUFFIXES)} or {_CHECKPOINT}, not {model}")
    from src.checkpoints.weights import read_description

    return read_description(model)


def _match(
    folders: Sequence[str], data_dir: Path, model: ModelClasses | None, class_map: ClassMap | None
) -> MatchedClasses:
    """Return the class of each folder, its position where the model is not known."""
    if model:
        return match_classes(folders, str(data_dir), model, class_map)
    note = (
        f"the labels are the positions of the class folders in {data_dir}: they are right only for a model that was "
        "trained on the same class folders; --model FILE writes the model's numbers"
    )
    return MatchedClasses(tuple(range(len(folders))), tuple(folders), (note,))


if __name__ == "__main__":
    sys.exit(run_command(main))
