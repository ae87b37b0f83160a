"""What a benchmark prints and writes: the machine, medians, ratios."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from src.common.workers import available_workers
from tools.benchmarks.rounds import Measurement

_COLUMNS = "{:<15} {:<12} {:<9} {:>5} {:>5} {:>9} {:>9} {:>9} {:>7} {:>10} {:>10}"
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "CXX")
_PACKAGES = ("mindspore", "numpy", "onnxruntime", "openvino", "torch")


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine that decide its speed, and the versions of what runs on it."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    return {
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": available_workers(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def load_average() -> float:
    """Return how many processes wanted a core, on average over the last minute; much above our own spoils speeds."""
    return os.getloadavg()[0]


def to_record(measured: Measurement, settings: dict[str, Any], baseline: Measurement | None) -> dict[str, Any]:
    """Return a measurement as JSON values.

    Args:
        measured: The measurement.
        settings: `precision`, empty where options alone decide it, `image_size` and `batch_size`.
        baseline: What it is compared with: the speeds of the same rounds.
    """
    speeds = measured.speeds
    record = {
        "work": measured.variant.workload,
        "name": measured.variant.name,
        **settings,
        "ranks": measured.variant.ranks,
        "images_per_second": {
            "median": statistics.median(speeds),
            "min": min(speeds),
            "max": max(speeds),
            "rounds": speeds,
        },
        "start_seconds": measured.start_seconds,
        "compile_seconds": measured.compile_seconds,
        "peak_memory": measured.peak_memory,
        "problems": measured.problems,
    }
    if baseline:
        ratios = [own / other for own, other in zip(speeds, baseline.speeds, strict=True)]
        record["ratio"] = {"to": baseline.variant.name, "median": statistics.median(ratios), "rounds": ratios}
    return record


def header() -> str:
    """Return the first line of the table."""
    names = ("work", "by", "precision", "size", "batch", "images/s", "min", "max", "ratio", "compile s", "memory MB")
    return _COLUMNS.format(*names)


def to_line(record: dict[str, Any]) -> str:
    """Return a record's line of the table."""
    speed = record["images_per_second"]
    ratio = f"{record['ratio']['median']:.3f}" if "ratio" in record else ""
    return _COLUMNS.format(
        record["work"],
        record["name"],
        record["precision"],
        record["image_size"],
        record["batch_size"],
        *(f"{speed[key]:.{2 if speed[key] < 100 else 0}f}" for key in ("median", "min", "max")),
        ratio,
        f"{record['compile_seconds']:.1f}",
        f"{record['peak_memory'] / 1e6:.0f}",
    )


def compare(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each work and peer: how many times as fast the project is, the median of the rounds and all."""
    lines = []
    for record in records:
        if "ratio" not in record:
            continue
        ratios = [1 / ratio for ratio in record["ratio"]["rounds"]]
        work = f"{record['work']} {record['precision']}".strip()
        lines.append(
            f"{work}, {record['image_size']} x {record['batch_size']}: {record['ratio']['to']} is "
            f"{statistics.median(ratios):.2f} x {record['name']} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )
    return lines


def describe(machine: dict[str, Any], loads: Sequence[float]) -> str:
    """Return the lines about the machine below the table."""
    facts = [f"{name} {machine[name]}" for name in _PACKAGES if machine[name]]
    facts += [f"{name}={value}" for name, value in machine["environment"].items()]
    return (
        f"{machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores; {', '.join(facts)}\n"
        f"load average {loads[0]:.1f} before and {loads[1]:.1f} after"
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
