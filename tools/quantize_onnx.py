"""Quantise an ONNX file to INT8 for CPUs, and tell what that gains and costs on your images: size, speed, top-1."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

import numpy as np

from src.common.files import atomic_write, expand_home, printable, user_path
from src.common.mindspore_log import silence_mindspore
from src.export.quantize import import_quantization, quantize
from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.device_adapter import use_device

if TYPE_CHECKING:
    from src.export.model_file import ModelFile

_ROUNDS = 5  # of which the median speed is told
_EPILOG = """The ranges of the values inside the network are found on the images of --calibrate: take some of the
training images, not those of --test_data_dir. Both files compute on CPU with all cores. The new file is evaluated by
eval_onnx.py and predicts by predict.py as the old one."""


@dataclass(frozen=True)
class _Measured:
    """A file in figures: size in bytes, speed in images/s, and top-1, 0 to 1, of a number of images."""

    size: int
    speed: float
    top_1: float
    images: int


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If an option is out of range, or OUT exists.
        ValueError: If a file or an image does not fit, a package is missing, or top-1 falls by more than --max_drop.
        OSError: If OUT cannot be written.
    """
    silence_mindspore()
    args = _parse(argv)
    _check(args)
    import_quantization()
    words = ["--device_target=CPU", f"--onnx_path={args.source}", f"--test_data_dir={args.test_data_dir}"]
    config = parse_config([*words, f"--batch_size={args.batch_size}"], lambda device: device)
    use_device(config, has_own_convolutions=True)  # MindSpore reads the images, and computes none

    from src.export.classifier import fit_classifier  # MindSpore takes seconds to import: --help does without
    from src.export.model_file import load_onnx
    from src.metadata.model_entries import read_model_metadata
    from src.model_utils.weights_settings import settle

    model = load_onnx(args.source)
    settled = settle(config, args.source, read_model_metadata(args.source), only_size=model.only_size)
    model, sizes = fit_classifier(model, config.batch_size, settled.config.image_size)
    settings = settled.fit(sizes.num_classes).config
    described = replace(settled.metadata, crop_pct=settings.crop_pct, interpolation=settings.interpolation)
    paths = _calibration_images(args)
    print(f"calibrated on {len(paths)} images of {printable(args.calibrate)}")
    before, images, top_1 = args.source.stat().st_size, *_evaluate(config, args.source)
    with TemporaryDirectory(prefix="xception-") as folder:
        written = Path(folder, args.out.name)
        quantize(args.source, written, _batches(paths, settings, sizes.batch_size), described)
        fast = load_onnx(written)
        _, new_top_1 = _evaluate(config, written)
        batch = next(_batches(paths, settings, sizes.batch_size))
        speed, new_speed = _speeds((model, fast), batch)
        rows = _Measured(before, speed, top_1, images), _Measured(written.stat().st_size, new_speed, new_top_1, images)
        print(_table(*rows))
        drop = 100 * (top_1 - new_top_1)
        if drop > args.max_drop:
            raise ValueError(
                f"{args.out} is not written: top-1 falls by {drop:.3f} points, more than --max_drop={args.max_drop:g}; "
                "calibrate on more images, or allow more"
            )
        atomic_write(args.out, written.read_bytes())
    print(printable(f"wrote {args.out}"))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quantize_onnx.py", description=__doc__, epilog=_EPILOG)
    parser.add_argument("source", type=user_path, metavar="IN", help="the float32 ONNX file, as export.py writes it")
    parser.add_argument("out", type=user_path, metavar="OUT", help="the file to write, ending in .onnx")
    parser.add_argument(
        "--calibrate", type=expand_home, required=True, metavar="DIR", help="folder of images, at any depth"
    )
    parser.add_argument(
        "--calibration_images",
        type=int,
        default=128,
        metavar="N",
        help="how many of them, spread evenly over their sorted paths (default: %(default)s)",
    )
    parser.add_argument(
        "--test_data_dir",
        type=expand_home,
        required=True,
        metavar="DIR",
        help="images that both files are evaluated on, as by eval_onnx.py",
    )
    parser.add_argument(
        "--max_drop",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="write OUT only if top-1 falls by no more percentage points (default: %(default)s)",
    )
    parser.add_argument(
        "--batch_size",
        type=int,
        default=32,
        metavar="N",
        help="images in a batch where IN takes any number (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser.parse_args(argv)


def _check(args: argparse.Namespace) -> None:
    """Refuse what would fail, or lose a file, after the work is done."""
    if args.out.suffix != ".onnx":
        raise ConfigError(f"OUT must end in .onnx, got {args.out}")
    if os.path.lexists(args.out) and not args.overwrite:
        raise ConfigError(f"{args.out} exists: choose another name, or add --overwrite")
    if args.out.exists() and args.source.exists() and args.out.samefile(args.source):
        raise ConfigError(f"IN and OUT are the same file, {args.out}: choose another name")
    if args.calibration_images < 1:
        raise ConfigError(f"--calibration_images must be at least 1, got {args.calibration_images}")
    if not 0 <= args.max_drop <= 100:
        raise ConfigError(f"--max_drop must be 0 to 100, got {args.max_drop}")
    if os.path.realpath(args.calibrate) == os.path.realpath(args.test_data_dir):
        print(
            "the images of --calibrate are those of --test_data_dir: top-1 may look better than it is",
            file=sys.stderr,
        )


def _calibration_images(args: argparse.Namespace) -> list[Path]:
    from src.prediction.image_arguments import named_images

    paths, problems = named_images([args.calibrate])
    for word, reason in problems.items():
        raise ValueError(f"no images to calibrate on: {word}: {reason}")
    count = min(args.calibration_images, len(paths))
    return [paths[place * len(paths) // count] for place in range(count)]


def _batches(paths: Sequence[Path], config: Config, size: int) -> Iterator[np.ndarray]:
    """Yield whole batches as the network takes them; the last one repeats images where they run out."""
    from src.dataset import read_image

    for start in range(0, len(paths), size):
        some = [paths[place % len(paths)] for place in range(start, start + size)]
        images = {
            path: read_image(
                path,
                config.image_size,
                crop_pct=config.crop_pct,
                interpolation=config.interpolation,
                max_image_pixels=config.max_image_pixels,
            )
            for path in dict.fromkeys(some)
        }
        yield np.stack([images[path] for path in some])


def _evaluate(config: Config, path: Path) -> tuple[int, float]:
    """Return how many images were evaluated and their top-1."""
    from src.evaluation.onnx_file import evaluate_onnx

    result = evaluate_onnx(config.replace(onnx_path=str(path)))[0]
    return result.images, result.top_1


def _speeds(models: Sequence[ModelFile], batch: np.ndarray) -> list[float]:
    """Return the images/s of each model, the median of rounds in which they take turns."""
    times: list[list[float]] = [[] for _ in models]
    for round_number in range(_ROUNDS + 1):
        for model, own in zip(models, times, strict=True):
            start = time.perf_counter()
            model.run(batch)
            if round_number:  # the first one is slower
                own.append(time.perf_counter() - start)
    return [len(batch) / statistics.median(own) for own in times]


def _table(before: _Measured, after: _Measured) -> str:
    rows = [
        ("", "float32", "INT8"),
        ("size", *(f"{each.size / 1e6:.1f} MB" for each in (before, after))),
        ("speed", *(f"{each.speed:.1f} images/s" for each in (before, after))),
        (f"top-1 of {before.images} images", *(f"{each.top_1:.3%}" for each in (before, after))),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{name:<{widths[0]}}  {old:>{widths[1]}}  {new:>{widths[2]}}" for name, old, new in rows)


if __name__ == "__main__":
    sys.exit(run_command(main))
