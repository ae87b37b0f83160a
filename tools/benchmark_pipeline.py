"""Compare how fast data sets, such as image folders and their MindRecord files, leave the input pipeline."""

from __future__ import annotations

import argparse
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
from src.model_utils.config import ConfigError


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
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="data set; the ratio is to the first one")
    parser.add_argument("--train", action="store_true", help="training's pipeline instead of evaluation's")
    parser.add_argument("--image_size", type=int, default=299, help="height and width in pixels (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=32, help="images in a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each, in turn (default: %(default)s)")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    if min(args.image_size, args.batch_size, args.rounds) < 1:
        raise ConfigError("--image_size, --batch_size and --rounds must be at least 1")
    # The first round warms the system's file cache; in turn, since the load of a machine changes with time.
    rounds = [
        [pipeline_speed(folder, args.train, args.image_size, args.batch_size) for folder in args.folders]
        for _ in range(args.rounds + 1)
    ][1:]
    for index, folder in enumerate(args.folders):
        speed, cost = (statistics.median(each[index][column] for each in rounds) for column in (0, 1))
        ratio = statistics.median(each[index][0] / each[0][0] for each in rounds)
        print(f"{speed:8.1f} images/s {ratio:6.2f} x {cost:7.2f} ms of CPU an image  {folder}")
    return 0


def pipeline_speed(folder: str, do_train: bool, image_size: int, batch_size: int) -> tuple[float, float]:
    """Read a data set once, with the start of the pipeline.

    Args:
        folder: Folder of the class folders, or of tools/make_mindrecord.py.
        do_train: Whether with training's order and augmentation, or evaluation's.
        image_size: Height and width of the images in pixels, 1 or more.
        batch_size: Images in a batch, 1 or more.

    Returns:
        Images/s, and milliseconds of CPU time an image, which other programs disturb less.

    Raises:
        ValueError: If the folder is no data set, or holds less than a batch for training.
    """
    from src.dataset import create_dataset

    start, cpu_start = time.perf_counter(), time.process_time()
    dataset = create_dataset(folder, do_train, batch_size, image_size=image_size)
    images = sum(len(label) for _, label in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
    if not images:
        raise ValueError(f"{folder} gives no batch of {batch_size} images: use a smaller --batch_size")
    return images / (time.perf_counter() - start), 1000 * (time.process_time() - cpu_start) / images


if __name__ == "__main__":
    sys.exit(run_command(main))
