"""What the quick start is told, and what its folder has been made with."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from src.common.files import atomic_write, user_path
from src.model_utils.config import ConfigError

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ("image_size", "batch_size", "epoch_size", "lr_max")  # options of train.py that can be given here
# What is trained already learns at a third of the rate for random weights, its new classifier at ten times that.
FINE_TUNING = {"lr_max": 0.002, "head_lr_scale": 10}
_OF_IMAGES = ("data", "val")
_PARTS = ("train", "val")
_VAL = 0.2


def parse(argv: Sequence[str], description: str) -> argparse.Namespace:
    """Return the options, and the places that follow from them.

    Args:
        argv: Command-line arguments without the program's name.
        description: Beginning of --help.

    Raises:
        ConfigError: If an option is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="quickstart.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    where = "receives everything (default: quickstart, own_model with --data)"
    add("folder", nargs="?", type=user_path, metavar="FOLDER", help=where)
    own = "your own images, one folder a class, or such folders in train/ and val/"
    add("--data", type=user_path, metavar="DIR", help=own)
    add(
        "--pretrained",
        type=user_path,
        metavar="FILE",
        help="checkpoint to fine-tune (default: none)",
    )
    add("--val", type=float, metavar="SHARE", help=f"of your images, for validation (default: {_VAL})")
    add("--image_size", type=int, metavar="PIXELS", help="height and width of the images for the network, from 71 on")
    add("--batch_size", type=int, metavar="IMAGES", help="images of a training step")
    add("--epoch_size", type=int, metavar="N", help="epochs, passes over the training images")
    add("--lr_max", type=float, metavar="RATE", help="learning rate after the warm-up")
    add("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    args.config = ROOT / "scripts" / ("own_images.yaml" if args.data else "quickstart.yaml")
    if args.data and not args.data.is_dir():
        raise ConfigError(f"no folder {args.data}: --data needs your images, one folder a class")
    if args.pretrained and not args.pretrained.is_file():
        raise ConfigError(f"no file {args.pretrained}: --pretrained needs a checkpoint")
    args.folder = (args.folder or Path("own_model" if args.data else "quickstart")).absolute()
    if args.data and args.folder.resolve().is_relative_to(args.data.resolve()):
        raise ConfigError(f"{args.folder} is inside {args.data}: choose a FOLDER beside your images")
    if args.val is not None and not (args.data and 0 < args.val < 1):
        raise ConfigError("--val is a share between 0 and 1, of the images in --data")
    args.is_divided = bool(args.data) and all((args.data / part).is_dir() for part in _PARTS)
    if args.is_divided and args.val is not None:
        raise ConfigError(f"{args.data} is divided into train/ and val/ already: leave --val out")
    args.val = args.val if args.val is not None or not args.data or args.is_divided else _VAL
    args.images = args.data.absolute() if args.is_divided else args.folder / ("images" if args.data else "digits")
    args.model = args.folder / "model_0"
    args.bad_images = args.folder / "bad_images.txt"
    return args


def check_options(args: argparse.Namespace) -> None:
    """Note the options in the folder; raise if other ones have made what is there.

    Raises:
        ConfigError: In that case.
        OSError: If the note cannot be read or written.
    """
    given = {name: getattr(args, name) for name in (*_OF_IMAGES, "pretrained", *TRAINING)}
    options = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in given.items()}
    note = args.folder / "quickstart.json"
    found = None
    if note.exists():
        try:
            found = dict(json.loads(note.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{note} is damaged: choose another FOLDER") from error
        has_images = args.bad_images.exists() or args.images.exists()
        used = [name for name in options if (has_images if name in _OF_IMAGES else args.model.exists())]
        changed = [name for name in used if found.get(name) != options[name]]
        if changed:
            differs = ", ".join(f"--{name} was {found.get(name)} and is {options[name]}" for name in changed)
            raise ConfigError(f"{args.folder} holds results of other options ({differs}): choose another FOLDER")
    elif args.model.exists():
        raise ConfigError(f"{args.model} is of a training that this command has not begun: choose another FOLDER")
    if found != options:
        atomic_write(note, json.dumps(options, indent=2) + "\n")
