"""Measure training, evaluation, the input pipeline and prediction in images/s, and compare variants in one run."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.common.files import atomic_write
from src.common.progress import Progress
from src.model_utils.config import ConfigError
from tools.benchmarks.images import write_images
from tools.benchmarks.rounds import Entry, Measured, difference, hold, run_to_end
from tools.benchmarks.table import describe, describe_machine, header, load_average, to_line, to_record

ROOT = Path(__file__).resolve().parents[1]
WORKS = {
    "training": ("training",),
    "evaluation": ("evaluation",),
    "pipeline": ("pipeline-train", "pipeline-eval"),
    "predict": ("predict",),
}
ONNX = "onnx"
_PIPELINE_PASSES = 16  # a pass is over in the time that threads take to start
_WITH_ONNX = ("evaluation", "predict")


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
        plans = itertools.product(args.works, args.image_size, args.batch_size)
        for number, (work, size, batch) in enumerate(plans):
            settings = {"image_size": size, "batch_size": batch}
            own = [f"--test_data_dir={data}", *(f"--{key}={value}" for key, value in settings.items()), *options]
            for name in WORKS[work]:
                logs = Path(folder, f"{number}-{name}")
                entries = list(_entries(args, name, batch, own, logs))
                for record in _compare(entries, args.rounds, logs, settings):
                    print(to_line(record), flush=True)
                    records.append(record)
    loads = [before, load_average()]
    print(describe(machine, loads))
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
    parser.add_argument("works", nargs="+", choices=WORKS, metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--image_size", type=int, nargs="+", default=[299], help="sides in pixels (default: 299)")
    parser.add_argument("--batch_size", type=int, nargs="+", default=[8], help="images in a batch (default: 8)")
    parser.add_argument("--device_target", default="auto", help="auto, Ascend, GPU or CPU (default: auto)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the warm-up (default: 5)")
    parser.add_argument("--images", type=int, default=64, help="images in a round, about (default: 64)")
    parser.add_argument("--data", help="image folders; by default, JPEG files of 500 x 375 are made")
    parser.add_argument(
        "--against", default="", metavar="onnx|FOLDER", help="ONNX Runtime, or another checkout of the project"
    )
    parser.add_argument("--ranks", type=int, default=1, help="also train on so many ranks that share the cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args, options = parser.parse_known_args(argv)
    for name in ("rounds", "images", "ranks"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} must be 1 or more: {getattr(args, name)}")
    if args.against not in ("", ONNX) and not Path(args.against, "tools/benchmarks/worker.py").is_file():
        raise ConfigError(f"--against takes onnx or the folder of a checkout with tools/benchmarks: {args.against}")
    if args.ranks > len(os.sched_getaffinity(0)) and args.device_target in ("auto", "CPU"):
        raise ConfigError(f"--ranks={args.ranks} needs as many cores, and there are {len(os.sched_getaffinity(0))}")
    if args.images < max(args.batch_size) * args.ranks:
        raise ConfigError(f"--images={args.images} is less than a batch for each rank: give more")
    args.data = args.data and os.path.abspath(args.data)
    return args, options


def _make_images(folder: Path, count: int) -> str:
    write_images(folder, count)
    return str(folder)


def _entries(args: argparse.Namespace, work: str, batch: int, options: list[str], folder: Path) -> Iterator[Entry]:
    """Return what is measured together: the project, and what it is compared with."""
    ranks = args.ranks if work == "training" else 1
    images = args.images // (batch * ranks) * batch * ranks
    cores = sorted(os.sched_getaffinity(0))
    if ranks > 1 and args.device_target in ("auto", "CPU"):
        options = [*options, f"--cores={','.join(map(str, cores[: len(cores) // ranks * ranks]))}"]
    passes = _PIPELINE_PASSES if work.startswith("pipeline") else 1
    own = Entry("MindSpore", work, ROOT, options, images, passes, device=args.device_target)
    yield own
    if ranks > 1:
        yield Entry(f"{ranks} ranks", work, ROOT, options, images, ranks=ranks, device=args.device_target)
    if args.against == ONNX and work in _WITH_ONNX:
        model = f"--onnx_path={folder.absolute() / 'net.onnx'}"
        run_to_end(Entry("export", "export", ROOT, [*options, model], 1, device="CPU"), folder / "export")
        yield Entry("ONNX Runtime", work, ROOT, [*options, model], images, device=args.device_target)
    elif args.against not in ("", ONNX):
        root = Path(args.against).absolute()
        yield Entry(root.name, work, root, options, images, passes, device=args.device_target)


def _compare(entries: Sequence[Entry], rounds: int, folder: Path, settings: dict[str, int]) -> Iterator[dict]:
    """Measure entries in turn and return their records; the first is what the others are compared with."""
    label = f"{entries[0].work} {settings['image_size']} x {settings['batch_size']}"
    with Progress((rounds + 1) * len(entries), label, unit="rounds") as progress:
        first, *others = hold(entries, rounds, folder, progress.update)
    yield to_record(first, settings, None)
    for other in others:
        if other.entry.ranks == 1:  # ranks see the images in batches of their own, and so have other losses
            _check_equal(other, first)
        yield to_record(other, settings, first)


def _check_equal(other: Measured, first: Measured) -> None:
    problem = difference(other.result, first.result)
    if problem:
        other.problems.append(f"{other.entry.work} by {other.entry.name} and {first.entry.name}: {problem}")


if __name__ == "__main__":
    from src.model_utils.command import run_command

    sys.exit(run_command(main))
