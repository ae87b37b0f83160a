"""Predict the classes of images with a checkpoint, MINDIR or ONNX file of Xception."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import expand_home, printable, user_path
from src.common.output import raw
from src.common.workers import prepared_pool
from src.cpu.library import build_evaluation_library
from src.cpu.precision import settle_precision
from src.cpu.threads import share_cores
from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.derived_settings import workers
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.eval_engine import is_converted

if TYPE_CHECKING:
    from src.prediction.predictor import Predictions

FEATURE_SUFFIXES = (".npz", ".csv")
SKIPPED = 3  # as the program for the Ascend 310 says it

_EPILOG = """Results go to stdout, all else to stderr. The exit status is 0 if every image was predicted, 3 if some were
skipped, 2 for a wrong call and 1 for any other error. The file tells its class names, image size and resizing; what
it does not tell is looked for in config.yaml and class_names.txt beside it. Class names that are not known are
ImageNet's for 1000 classes, else numbers."""
_SHARED = {
    "config_path": "YAML file of settings ; what it gives counts as given here",
    "device_target": "auto, Ascend, GPU or CPU (default: auto)",
    "device_id": "index of the device, from 0 (default: 0)",
    "amp_level": "mixed precision of a checkpoint: auto, O0, O2 or O3",
    "eval_engine": "what computes: auto, mindspore, onnx or openvino (default: auto)",
    "cpu_operators": "folder of the operators in C++, auto or none (default: auto)",
    "use_average": "take the moving average of the weights where a checkpoint holds one (default: True)",
    "image_size": "side of the images in pixels, for a checkpoint (default: that of its training)",
    "crop_pct": "centre crop as a share of the resized shorter side (default: that of the training)",
    "interpolation": "how images are resized, bilinear or bicubic (default: as in the training)",
    "batch_size": "images in a batch; a MINDIR or ONNX file has its own, unless it takes any",
    "max_image_pixels": "most pixels, height x width, of an image",
    "num_parallel_workers": "threads that read images; 0 takes all cores",
}


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if all images have a prediction, 3 if some were skipped.

    Raises:
        ConfigError: If the options do not fit together.
    """
    args = _new_parser().parse_args(argv)
    if args.topk < 1:
        raise ConfigError(f"--topk must be at least 1, got {args.topk}")
    gradcam = args.gradcam or args.gradcam_class is not None
    if args.features and args.features.suffix not in FEATURE_SUFFIXES:
        raise ConfigError(f"--features must end in {' or '.join(FEATURE_SUFFIXES)}, got {args.features}")
    if args.features and gradcam:
        raise ConfigError("--features and --gradcam look into the network in two ways: call the command twice")
    if gradcam and not args.save:
        raise ConfigError("--gradcam draws into the pictures of --save: add --save=FOLDER")
    config = _configure(args)
    if gradcam and is_converted(config):
        raise ConfigError(f"--gradcam looks into MindSpore's network: leave out --eval_engine={config.eval_engine}")
    predictions = _predict(config, args, gradcam)

    from src.prediction.output import to_csv_table, to_json, to_table, write_features  # MindSpore: --help does without

    if args.features:
        print(printable(write_features(args.features, predictions)), file=sys.stderr)

    write = {"json": to_json, "csv": to_csv_table}.get(args.format, to_table)
    # A table for programs holds names as they are, unless a terminal would take them for orders.
    stream = raw(sys.stdout) if args.format and not sys.stdout.isatty() else sys.stdout
    stream.write(write(predictions))
    for path, reason in predictions.skipped.items():
        print(printable(f"skipped {path}: {reason}"), file=sys.stderr)
    return SKIPPED if predictions.skipped else 0


def _predict(config: Config, args: argparse.Namespace, gradcam: bool) -> Predictions:
    """Predict; what checks the images imports MindSpore's decoder at the same time as this process does."""
    from src.data.image_check import import_decoder

    is_checkpoint = Path(config.checkpoint_path).suffix == ".ckpt"
    with prepared_pool(workers(config), import_decoder) as pool:
        # Grad-CAM looks into MindSpore's network.
        library = build_evaluation_library(config) if is_checkpoint and not gradcam else None
        use_device(config, library is not None or is_converted(config))
        share_cores(library, None)
        if is_checkpoint and not is_converted(config):
            config = settle_precision(config, library)

        from src.prediction.predictor import Means, Options, predict

        options = Options(
            args.topk,
            args.class_names,
            args.save,
            gradcam,
            args.gradcam_class,
            features=args.features is not None,
        )
        return predict(config, args.images, options, Means(library, pool))


def _new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="predict.py", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "images",
        nargs="+",
        type=expand_home,
        metavar="IMAGE",
        help="file, folder or pattern such as 'photos/**/*.jpg'",
    )
    parser.add_argument(
        "--checkpoint_path", type=user_path, required=True, metavar="FILE", help=".ckpt, .mindir or .onnx"
    )
    parser.add_argument("--topk", type=int, default=5, metavar="K", help="classes for each image (default: 5)")
    parser.add_argument("--class_names", type=user_path, metavar="FILE", help="text file with a class name a line")
    parser.add_argument(
        "--save", type=user_path, metavar="DIR", help="write each image with its top-5 bars here, as PNG"
    )
    parser.add_argument("--gradcam", action="store_true", help="add the heat map of the predicted class to --save")
    parser.add_argument("--gradcam_class", metavar="CLASS", help="number or name of a class to take instead")
    parser.add_argument(
        "--features",
        type=user_path,
        metavar="FILE",
        help="write what the classifier sees of each image, 2048 numbers, with its path: FILE ends in .npz or .csv",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="format", action="store_const", const="json", help="print JSON, not a table")
    form.add_argument("--csv", dest="format", action="store_const", const="csv", help="print CSV, not a table")
    shared = parser.add_argument_group("shared with eval.py")
    for name, text in _SHARED.items():
        shared.add_argument(f"--{name}", metavar="VALUE", help=text)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser


def _configure(args: argparse.Namespace) -> Config:
    words = [f"--{name}={value}" for name in _SHARED if (value := getattr(args, name)) is not None]
    alone = ["--is_distributed=False", "--enable_modelarts=False", f"--checkpoint_path={args.checkpoint_path}"]
    return parse_config([*words, *alone], resolve_device)


if __name__ == "__main__":
    sys.exit(run_command(main))
