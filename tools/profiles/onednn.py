"""The profile of MindSpore's own layers, by the lines in which oneDNN, which computes for them, tells each call."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable

import numpy as np

from tools.profiles.work import FLOAT, HALF, Kernel, Limits, Step

STEP, PEAK = "profile: step of ", "profile: peak"  # lines of the process that is measured, between oneDNN's
_DIRECTIONS = {
    "forward_training": "forward",
    "forward_inference": "forward",
    "backward_data": "by inputs",
    "backward_weights": "by weights",
    "backward": "backward",
}


def read_steps(lines: Iterable[str]) -> tuple[list[Step], float]:
    """Sort the output of the process that is measured.

    Args:
        lines: The output.

    Returns:
        Each step but the first, which compiles; and the most operations in a second that a matrix product reached.
    """
    steps: list[Step] = []
    kernels: list[Kernel] = []
    peak = 0.0
    for line in lines:
        if line.startswith("onednn_verbose") and ",exec," in line:
            kernels.append(to_kernel(line))
        elif line == PEAK:
            peak = max(each.operations / each.milliseconds * 1000 for each in kernels)
            kernels = []
        elif line.startswith(STEP):
            steps.append(Step(float(line.removeprefix(STEP).split()[0]), kernels, {}))
            kernels = []
    return steps[1:], peak


def to_kernel(line: str) -> Kernel:
    """Read one of oneDNN's lines, such as `onednn_verbose,v1,primitive,exec,cpu,convolution,...,1.5`."""
    fields = line.strip().split(",")
    kind, detail, direction, problem = fields[5], fields[6], fields[7], fields[-2]
    milliseconds = float(fields[-1])
    value = HALF if "src:bf16" in fields[8] else FLOAT  # of the activations, which are most of the operands
    if kind == "reorder":
        moved = math.prod(map(int, problem.split("x"))) * (value + (HALF if "dst:bf16" in fields[8] else FLOAT))
        return Kernel("weights put in order", milliseconds, 0.0, moved, detail=detail)
    if kind == "matmul":
        left, right = (list(map(int, part.split("x"))) for part in problem.split(":")[:2])
        moved = left[0] * left[1] + right[0] * right[1] + left[0] * right[1]
        operations = 2.0 * left[0] * left[1] * right[1]
        return Kernel("matrix product", milliseconds, operations, moved * value, detail=detail)
    direction = _DIRECTIONS.get(direction, direction)
    if kind == "softmax":
        operands = 3 if direction == "by inputs" else 2
        moved = operands * math.prod(map(int, problem.split("x")))
        return Kernel(f"softmax, {direction}", milliseconds, 0.0, moved * FLOAT, detail=detail)
    size = {name: int(value) for name, value in re.findall(r"([a-z]+)(\d+)", problem)}
    source = size["mb"] * size["ic"] * size["ih"] * size["iw"]
    if kind == "convolution":
        groups, area = size.get("g", 1), size["kh"] * size["kw"]
        target = size["mb"] * size["oc"] * size["oh"] * size["ow"]
        weights = size["oc"] * size["ic"] // groups * area
        form = "depthwise 3 x 3" if groups > 1 else f"{size['kh']} x {size['kw']}"
        operations = 2.0 * target * size["ic"] / groups * area
        moved = (source + target + weights) * value
        return Kernel(f"{form} convolution, {direction}", milliseconds, operations, moved, detail=detail)
    if kind == "pooling":
        moved = source + size["mb"] * size["ic"] * size["oh"] * size["ow"]
        return Kernel(f"max pooling, {direction}", milliseconds, 0.0, moved * FLOAT, detail=detail)
    operands = 3 if direction == "backward" else 2
    name = f"{kind.replace('_', ' ')}, {direction}"
    return Kernel(name, milliseconds, 0.0, operands * source * FLOAT, detail=detail)


def measure_limits(peak: float) -> Limits:
    """Return what this machine can do by the speed of a product and that of a copy, which is measured."""
    values = np.ones(64 * 1024 * 1024, np.float32)
    other = np.empty_like(values)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        np.copyto(other, values)
        seconds.append(time.perf_counter() - start)
    return Limits(peak, 2 * values.nbytes / min(seconds))
