"""Show where the time of a training step, or of a prediction, goes on CPU, and the least that each part could take.

oneDNN, which computes convolutions, batch norm, pooling and matrix products for MindSpore, prints the time of
each call.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cpu.library import build_cpu_library
from src.cpu.precision import settle_precision
from src.cpu.threads import share_cores
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.local_adapter import ALONE

ROOT = Path(__file__).resolve().parents[1]
_STEP, _PEAK = "profile: step of ", "profile: peak"
_FLOAT, _HALF = 4, 2  # bytes
_PEAK_SIDE = 2048  # of the square matrices whose product shows the peak
_COLUMNS = "{:<40} {:>6} {:>9} {:>7} {:>9} {:>10}"
_HEADER = ("operator", "calls", "ms", "share", "least ms", "GFLOP/s")
_DIRECTIONS = {
    "forward_training": "forward",
    "forward_inference": "forward",
    "backward_data": "by inputs",
    "backward_weights": "by weights",
    "backward": "backward",
}


@dataclass(frozen=True)
class Call:
    """A call of oneDNN.

    Args:
        name: What it computes, and in which direction.
        implementation: oneDNN's name of its code.
        milliseconds: How long it took.
        operations: Additions and multiplications.
        moved: Bytes of all operands.
    """

    name: str
    implementation: str
    milliseconds: float
    operations: float
    moved: float


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If an option is out of range, or the process that is measured fails.
    """
    parser = argparse.ArgumentParser(prog="profile_operators.py", description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=("training", "predict"), help="a step of the optimizer, or the logits alone")
    parser.add_argument("--image_size", type=int, default=299, help="side in pixels (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=8, help="images in a batch (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="steps after the first one (default: %(default)s)")
    parser.add_argument("--amp_level", default="auto", help="as train.py takes it (default: %(default)s)")
    parser.add_argument("--cpu_operators", default="auto", help="as train.py takes it (default: %(default)s)")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    parser.add_argument("--measured", action="store_true", help=argparse.SUPPRESS)  # the process that is measured
    args = parser.parse_args(argv)
    if args.image_size < 71 or min(args.batch_size, args.steps) < 1:
        raise ConfigError("--image_size must be at least 71, --batch_size and --steps at least 1")
    if args.measured:
        _measure(args)
        return
    command = [sys.executable, str(Path(__file__).resolve()), *argv, "--measured"]
    environment = {**os.environ, "ONEDNN_VERBOSE": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ConfigError(f"the process that is measured failed: {result.stderr.strip().splitlines()[-1:]}")
    steps, peak = split_steps(result.stdout.splitlines())
    print(table(steps, args.batch_size, peak, memory_speed()))


def _measure(args: argparse.Namespace) -> None:
    """Do the work, and say between oneDNN's lines when a step is over and how long it was."""
    words = ["--device_target=CPU", f"--image_size={args.image_size}", f"--batch_size={args.batch_size}"]
    words += [f"--cpu_operators={args.cpu_operators}", f"--amp_level={args.amp_level}"]
    config = parse_config(words, resolve_device)

    import mindspore as ms

    from src.training.model import build_model, build_optimizer
    from tools.benchmarks.inputs import build_network

    library = build_cpu_library(config) if args.work == "training" else None
    use_device(config, library is not None)
    share_cores(config, library, ALONE)
    config = settle_precision(config, library)

    random = np.random.default_rng(0)
    matrix = ms.Tensor(random.random((_PEAK_SIDE, _PEAK_SIDE), np.float32))
    for _ in range(5):
        ms.ops.matmul(matrix, matrix).asnumpy()
    print(_PEAK, flush=True)
    shape = (args.batch_size, 3, args.image_size, args.image_size)
    inputs = [ms.Tensor(random.uniform(-1, 1, shape).astype(np.float32))]
    step = network = build_network(config).set_train(args.work == "training")
    if args.work == "training":
        optimizer = build_optimizer(config, network, np.full(args.steps + 1, 1e-4, np.float32))
        step = build_model(config, network, optimizer, library=library).train_network
        inputs.append(ms.Tensor(np.arange(args.batch_size, dtype=np.int32)))
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        step(*inputs).asnumpy()
        print(f"{_STEP}{(time.perf_counter() - start) * 1000:.3f} ms", flush=True)


def split_steps(lines: Iterable[str]) -> tuple[list[tuple[float, list[Call]]], float]:
    """Sort the output of the measured process.

    Args:
        lines: The output.

    Returns:
        Milliseconds and calls of each step but the first, which compiles; and the most operations in a second that a
        matrix product reached.
    """
    steps: list[tuple[float, list[Call]]] = []
    calls: list[Call] = []
    peak = 0.0
    for line in lines:
        if line.startswith("onednn_verbose") and ",exec," in line:
            calls.append(to_call(line))
        elif line == _PEAK:
            peak = max(call.operations / call.milliseconds * 1000 for call in calls)
            calls = []
        elif line.startswith(_STEP):
            steps.append((float(line.removeprefix(_STEP).split()[0]), calls))
            calls = []
    return steps[1:], peak


def to_call(line: str) -> Call:
    """Read one of oneDNN's lines, such as `onednn_verbose,v1,primitive,exec,cpu,convolution,...,1.5`."""
    fields = line.strip().split(",")
    kind, implementation, direction, problem = fields[5], fields[6], fields[7], fields[-2]
    milliseconds = float(fields[-1])
    value = _HALF if "src:bf16" in fields[8] else _FLOAT  # of the activations, which are most of the operands
    if kind == "reorder":
        moved = math.prod(map(int, problem.split("x"))) * (value + (_HALF if "dst:bf16" in fields[8] else _FLOAT))
        return Call("weights put in order", implementation, milliseconds, 0.0, moved)
    if kind == "matmul":
        left, right = (list(map(int, part.split("x"))) for part in problem.split(":")[:2])
        moved = left[0] * left[1] + right[0] * right[1] + left[0] * right[1]
        operations = 2.0 * left[0] * left[1] * right[1]
        return Call("matrix product", implementation, milliseconds, operations, moved * value)
    direction = _DIRECTIONS.get(direction, direction)
    if kind == "softmax":
        operands = 3 if direction == "by inputs" else 2
        moved = operands * math.prod(map(int, problem.split("x")))
        return Call(f"softmax, {direction}", implementation, milliseconds, 0.0, moved * _FLOAT)
    size = {name: int(value) for name, value in re.findall(r"([a-z]+)(\d+)", problem)}
    source = size["mb"] * size["ic"] * size["ih"] * size["iw"]
    if kind == "convolution":
        groups, area = size.get("g", 1), size["kh"] * size["kw"]
        target = size["mb"] * size["oc"] * size["oh"] * size["ow"]
        weights = size["oc"] * size["ic"] // groups * area
        form = "depthwise 3 x 3" if groups > 1 else f"{size['kh']} x {size['kw']}"
        operations = 2.0 * target * size["ic"] / groups * area
        moved = (source + target + weights) * value
        return Call(f"{form} convolution, {direction}", implementation, milliseconds, operations, moved)
    if kind == "pooling":
        target = size["mb"] * size["ic"] * size["oh"] * size["ow"]
        return Call(f"max pooling, {direction}", implementation, milliseconds, 0.0, (source + target) * _FLOAT)
    operands = 3 if direction == "backward" else 2
    return Call(f"{kind.replace('_', ' ')}, {direction}", implementation, milliseconds, 0.0, operands * source * _FLOAT)


def memory_speed() -> float:
    """Return the bytes that this machine reads and writes in a second when it copies a large array."""
    values = np.ones(64 * 1024 * 1024, np.float32)
    other = np.empty_like(values)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        np.copyto(other, values)
        seconds.append(time.perf_counter() - start)
    return 2 * values.nbytes / min(seconds)


def table(steps: Sequence[tuple[float, list[Call]]], batch_size: int, peak: float, memory: float) -> str:
    """Return the profile as text, the parts that take most first.

    Args:
        steps: Milliseconds and calls of each step.
        batch_size: Images in a step.
        peak: Operations in a second that the processor can do.
        memory: Bytes in a second that it can move.
    """
    whole = statistics.median(milliseconds for milliseconds, _ in steps)
    parts: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for _, calls in steps:
        for call in calls:
            parts[call.name, call.implementation].append(call)
    rows, known, known_least = [], 0.0, 0.0
    for (name, implementation), calls in parts.items():
        spent = sum(call.milliseconds for call in calls) / len(steps)
        least = sum(max(call.operations / peak, call.moved / memory) for call in calls) / len(steps) * 1000
        speed = sum(call.operations for call in calls) / len(steps) / spent / 1e6
        known, known_least = known + spent, known_least + least
        rows.append((spent, name, implementation, len(calls) // len(steps), least, speed))
    lines = [_COLUMNS.format(*_HEADER)]
    for spent, name, implementation, count, least, speed in sorted(rows, reverse=True):
        gflops = f"{speed:.0f}" if speed else ""
        row = (name, count, f"{spent:.1f}", f"{spent / whole:.1%}", f"{least:.1f}", gflops)
        lines += [_COLUMNS.format(*row), f"    {implementation}"]
    rest = ("all else", "", f"{whole - known:.1f}", f"{1 - known / whole:.1%}", "", "")
    step = ("step", "", f"{whole:.1f}", "100.0%", f"{known_least:.1f}", "")
    lines += [_COLUMNS.format(*rest), _COLUMNS.format(*step)]
    lines.append(
        f"{whole / batch_size:.1f} ms an image; least by {peak / 1e9:.0f} GFLOP/s, as a product of {_PEAK_SIDE} x "
        f"{_PEAK_SIDE} matrices reaches, and {memory / 1e9:.1f} GB/s, as a copy does, without all else"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_command(main))
