"""Measure training, evaluation, the input pipeline and prediction in images/s, and compare in one run."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.common.counted import counted
from src.common.files import atomic_write, user_path
from src.common.progress import Progress
from src.common.workers import available_cores, available_workers
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from tools.benchmarks.images import write_images
from tools.benchmarks.peers import ON_CPU, check_peers, is_peer, peers_of
from tools.benchmarks.rounds import HALF_TOLERANCE, TOLERANCE, Measurement, difference, measure_in_turn
from tools.benchmarks.table import compare, describe, describe_machine, header, load_average, to_line, to_record
from tools.benchmarks.variants import Variant

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS = {
    "training": ("training",),
    "evaluation": ("evaluation",),
    "pipeline": ("pipeline-train", "pipeline-eval"),
    "predict": ("predict",),
}
_PIPELINE_PASSES = 16  # a pass is over in the time that threads take to start
_LEVELS = {"float32": "O0", "half": "O2"}


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if all results are right, 1 if not. Speed decides nothing.

    Raises:
        ConfigError: If the arguments do not fit together.
    """
    args, options = _parse(argv)
    machine, before = describe_machine(), load_average()
    records = []
    with tempfile.TemporaryDirectory(prefix="xception-benchmark-") as folder:
        data = args.data or _make_images(Path(folder, "images"), args.images)
        print(header(), flush=True)
        plans = itertools.product(args.workloads, args.precision, args.image_size, args.batch_size)
        for number, (workload, precision, size, batch) in enumerate(plans):
            settings = {"precision": precision, "image_size": size, "batch_size": batch}
            own = [f"--test_data_dir={data}", f"--image_size={size}", f"--batch_size={batch}", *options]
            own += [f"--amp_level={_LEVELS[precision]}"] if precision in _LEVELS else []
            for name in WORKLOADS[workload]:
                logs = Path(folder, f"{number}-{name}")
                variants = list(_variants(args, name, settings, own, logs))
                for record in _compare(variants, args.rounds, logs, settings):
                    print(to_line(record), flush=True)
                    records.append(record)
    loads = [before, load_average()]
    print(describe(machine, loads))
    for line in compare(records):
        print(line)
    if args.json:
        report = {"machine": machine, "load_average": loads, "arguments": list(argv), "works": records}
        atomic_write(args.json, json.dumps(report, indent=2) + "\n")
    problems = [problem for record in records for problem in record["problems"]]
    for problem in problems:
        print(f"wrong result: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments, and those for the processes that work."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py",
        description=__doc__,
        epilog="Further options, such as --num_classes or --amp_level, are those of train.py.",
        allow_abbrev=False,
    )
    parser.add_argument("workloads", nargs="+", choices=WORKLOADS, metavar="WORK", help=", ".join(WORKLOADS))
    parser.add_argument("--image_size", type=int, nargs="+", default=[299], help="sides in pixels (default: 299)")
    parser.add_argument("--batch_size", type=int, nargs="+", default=[8], help="images in a batch (default: 8)")
    parser.add_argument("--device_target", default="auto", help="auto, Ascend, GPU or CPU (default: auto)")
    parser.add_argument(
        "--precision", nargs="+", choices=_LEVELS, default=[""], help="float32, half; by default as --amp_level says"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the warm-up (default: 5)")
    parser.add_argument("--images", type=int, default=64, help="images in a round, about (default: 64)")
    parser.add_argument("--data", help="image folders; by default, JPEG files of 500 x 375 are made")
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="PEER",
        help="torch, onnx or openvino (requirements-benchmark.txt), or the folder of another checkout of the project",
    )
    parser.add_argument("--ranks", type=int, default=1, help="also train on so many ranks that share the cores")
    parser.add_argument("--cores", type=int, nargs="+", default=[], help="also work on so many of the cores")
    parser.add_argument("--json", type=user_path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args, options = parser.parse_known_args(argv)
    for name in ("rounds", "images", "ranks"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} must be 1 or more: {getattr(args, name)}")
    if args.device_target == "auto" and ON_CPU.intersection(args.against):
        args.device_target = "CPU"
    check_peers(args.against, args.device_target)
    cores = available_workers()
    if args.ranks > cores and args.device_target in ("auto", "CPU"):
        raise ConfigError(f"--ranks={args.ranks} needs as many cores, and there are {cores}")
    for count in args.cores:
        if not 1 <= count <= cores:
            raise ConfigError(f"--cores must be from 1 to {cores}, those that there are: {count}")
    if args.images < max(args.batch_size) * args.ranks:
        raise ConfigError(f"--images={args.images} is less than a batch for each rank: give more")
    args.data = args.data and os.path.abspath(args.data)
    return args, options


def _make_images(folder: Path, count: int) -> str:
    write_images(folder, count)
    return str(folder)


def _variants(
    args: argparse.Namespace, workload: str, settings: dict[str, Any], options: list[str], folder: Path
) -> Iterator[Variant]:
    """Return what is measured together: the project, and what it is compared with."""
    ranks = args.ranks if workload == "training" else 1
    step = settings["batch_size"] * ranks
    images = args.images // step * step
    cores = available_cores()
    if ranks > 1 and args.device_target in ("auto", "CPU"):
        options = [*options, f"--cores={','.join(map(str, cores[: len(cores) // ranks * ranks]))}"]
    # What is drawn for an image depends on the number of loader threads.
    alike = [f"--num_parallel_workers={len(cores)}", *options] if args.cores else options
    own = Variant(
        name="this version",
        workload=workload,
        root=ROOT,
        options=alike,
        images=images,
        passes=_PIPELINE_PASSES if workload.startswith("pipeline") else 1,
        device=args.device_target,
    )
    yield own
    if ranks > 1:
        yield replace(own, name=f"{ranks} ranks", ranks=ranks, options=options)
    for count in args.cores:
        words = [*alike, f"--cores={','.join(map(str, cores[:count]))}"]
        yield replace(own, name=counted(count, "core"), options=words)
    yield from peers_of(own, args.against, settings["precision"] == "half", folder)


def _compare(variants: Sequence[Variant], rounds: int, folder: Path, settings: dict[str, Any]) -> Iterator[dict]:
    """Measure variants in turn and return their records; the first is what the others are compared with."""
    label = f"{variants[0].workload} {settings['image_size']} x {settings['batch_size']}"
    with Progress((rounds + 1) * len(variants), label, unit="rounds") as progress:
        first, *others = measure_in_turn(variants, rounds, folder, progress.update)
    yield to_record(first, settings, None)
    for other in others:
        if other.variant.ranks == 1:  # ranks see the images in batches of their own, and so have other losses
            _check_equal(other, first, settings["precision"] == "half")
        yield to_record(other, settings, first)


def _check_equal(other: Measurement, first: Measurement, is_half: bool) -> None:
    expected = first.result
    if is_half and is_peer(other.variant.name):  # each rounds in places of its own: near ties may change sides
        expected = {name: values for name, values in expected.items() if name != "top"}
    problem = difference(other.result, expected, HALF_TOLERANCE if is_half else TOLERANCE)
    if problem:
        other.problems.append(f"{other.variant.workload} by {other.variant.name} and {first.variant.name}: {problem}")


if __name__ == "__main__":
    sys.exit(run_command(main))
