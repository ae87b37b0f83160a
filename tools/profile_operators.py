"""Show where the time of a training step, or of a prediction, goes on CPU, and the least that each part could take."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

import numpy as np

from src.cpu.library import build_cpu_library
from src.cpu.precision import settle_precision
from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.derived_settings import is_bfloat16
from src.model_utils.device_adapter import resolve_device, use_device
from tools.profiles import native, onednn
from tools.profiles.table import table
from tools.profiles.work import Limits, Step, middle

_PEAK_SIDE = 2048  # of the square matrices whose product shows the peak


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If an option is out of range, or the process that is measured fails.
    """
    parser = argparse.ArgumentParser(prog="profile_operators.py", description=__doc__)
    parser.add_argument("work", choices=("training", "predict"), help="a step of the optimizer, or the logits alone")
    parser.add_argument("--image_size", type=int, default=299, help="side in pixels (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=8, help="images in a batch (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps after the first one (default: %(default)s)")
    parser.add_argument("--amp_level", default="auto", help="as train.py takes it (default: %(default)s)")
    parser.add_argument(
        "--cpu_operators",
        default="auto",
        help="as train.py takes it; with none, MindSpore's layers are profiled by what oneDNN tells "
        "(default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    parser.add_argument("--measured", action="store_true", help=argparse.SUPPRESS)  # the process that oneDNN tells of
    args = parser.parse_args(argv)
    if args.image_size < 71 or min(args.batch_size, args.steps) < 1:
        raise ConfigError("--image_size must be at least 71, --batch_size and --steps at least 1")
    words = ["--device_target=CPU", f"--image_size={args.image_size}", f"--batch_size={args.batch_size}"]
    words += [f"--cpu_operators={args.cpu_operators}", f"--amp_level={args.amp_level}"]
    config = parse_config(words, resolve_device)
    library = build_cpu_library(config)
    use_device(config, library is not None)
    config = settle_precision(config, library)
    if library:
        limits = native.measure_limits(library, is_bfloat16(config))
        steps = native.profile_steps(library, _work(args, config, library), args.steps)
    elif args.measured:
        _say_layers(args, config)
        return
    else:
        steps, limits = _measure_layers(argv)
    print(table(middle(steps), limits, args.batch_size))


def _work(args: argparse.Namespace, config: Config, library: Path | None) -> Callable[[], object]:
    """Return a step, by the operators or MindSpore's layers."""
    import mindspore as ms

    from src.cpu.classifier import CpuClassifier
    from src.training.model import build_model, build_optimizer
    from tools.benchmarks.inputs import build_network, random_batch

    network = build_network(config).set_train(args.work == "training")
    shape = (args.batch_size, args.image_size, args.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if args.work == "predict" and library:
        classifier = CpuClassifier(library, network, is_bfloat16(config))
        return lambda: classifier.run(images)
    if args.work == "predict":
        batch = ms.Tensor(random_batch(config))
        return lambda: network(batch).asnumpy()
    optimizer = build_optimizer(config, network, np.full(args.steps + 1, 1e-4, np.float32))
    step = build_model(config, network, optimizer, library=library).train_network
    inputs = [ms.Tensor(images), ms.Tensor(np.arange(args.batch_size, dtype=np.int32))]
    return lambda: step(*inputs).asnumpy()


def _measure_layers(argv: Sequence[str]) -> tuple[list[Step], Limits]:
    """Have another process do the steps, so that what oneDNN prints can be read."""
    command = [sys.executable, str(Path(__file__).resolve()), *argv, "--measured"]
    environment = {**os.environ, "ONEDNN_VERBOSE": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ConfigError(f"the process that is measured failed: {result.stderr.strip().splitlines()[-1:]}")
    steps, peak = onednn.read_steps(result.stdout.splitlines())
    return steps, onednn.measure_limits(peak)


def _say_layers(args: argparse.Namespace, config: Config) -> None:
    """Do the steps, and say between oneDNN's lines when one is over and how long it was."""
    import mindspore as ms

    matrix = ms.Tensor(np.random.default_rng(0).random((_PEAK_SIDE, _PEAK_SIDE), np.float32))
    for _ in range(5):
        ms.ops.matmul(matrix, matrix).asnumpy()
    print(onednn.PEAK, flush=True)
    work = _work(args, config, None)
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        work()
        print(f"{onednn.STEP}{(time.perf_counter() - start) * 1000:.3f} ms", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
