"""Compare how fast images leave the input pipeline: of folders, of MindRecord files, with other augmentation."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.unused import AUGMENTATION


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status, 0.

    Raises:
        ConfigError: If an option is out of range.
        ValueError: If a folder is no data set.
    """
    parser = argparse.ArgumentParser(prog="benchmark_pipeline.py", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="data set; the ratio is to the first row")
    parser.add_argument("--train", action="store_true", help="training's pipeline instead of evaluation's")
    parser.add_argument(
        "--with",
        dest="others",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="with --train: also with this option of train.py, such as auto_augment=trivialaugment",
    )
    parser.add_argument("--image_size", type=int, default=299, help="height and width in pixels (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=32, help="images in a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each, in turn (default: %(default)s)")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    if min(args.image_size, args.batch_size, args.rounds) < 1:
        raise ConfigError("--image_size, --batch_size and --rounds must be at least 1")
    if args.others and not args.train:
        raise ConfigError("--with is about augmentation, which training alone has: add --train")
    configs = {word: _configure(word, args) for word in ("", *args.others)}
    rows = list(itertools.product(args.folders, configs))
    # The first round warms the system's file cache; in turn, since the load of a machine changes with time.
    rounds = [
        [pipeline_speed(folder, args.train, configs[word]) for folder, word in rows] for _ in range(args.rounds + 1)
    ][1:]
    for index, (folder, word) in enumerate(rows):
        speed, cost = (statistics.median(each[index][column] for each in rounds) for column in (0, 1))
        ratio = statistics.median(each[index][0] / each[0][0] for each in rounds)
        print(f"{speed:8.1f} images/s {ratio:6.2f} x {cost:7.2f} ms of CPU an image  {folder} {word}".rstrip())
    return 0


def _configure(word: str, args: argparse.Namespace) -> Config:
    words = [f"--image_size={args.image_size}", f"--batch_size={args.batch_size}"]
    plain, config = (parse_config([*words, *more], lambda _: "CPU") for more in ([], [f"--{word}"] if word else []))
    if word and all(getattr(plain, name) == getattr(config, name) for name in AUGMENTATION):
        raise ConfigError(f"--with {word} changes nothing of {', '.join(AUGMENTATION)}")
    return config


def pipeline_speed(folder: str, do_train: bool, config: Config) -> tuple[float, float]:
    """Read a data set once, with the start of the pipeline.

    Args:
        folder: Folder of the class folders, or of tools/make_mindrecord.py.
        do_train: Whether with training's order and augmentation, or evaluation's.
        config: With the size of images and batches, and training's augmentation.

    Returns:
        Images/s, and milliseconds of CPU time an image, which other programs disturb less.

    Raises:
        ValueError: If the folder is no data set, or holds less than a batch for training.
    """
    from src.dataset import create_dataset
    from src.training.model import build_augmentation

    start, cpu_start = time.perf_counter(), time.process_time()
    dataset = create_dataset(
        folder,
        do_train,
        config.batch_size,
        image_size=config.image_size,
        crop_min_area=config.crop_min_area,
        flip_probability=config.flip_probability,
        augmentation=build_augmentation(config),
    )
    images = sum(len(label) for _, label in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
    if not images:
        raise ValueError(f"{folder} gives no batch of {config.batch_size} images: use a smaller --batch_size")
    return images / (time.perf_counter() - start), 1000 * (time.process_time() - cpu_start) / images


if __name__ == "__main__":
    sys.exit(run_command(main))
