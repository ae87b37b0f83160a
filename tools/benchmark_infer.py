"""Compare the inference program with the bare device and with ONNX Runtime, on CPU, in one run."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

import numpy as np

from src.common.files import atomic_write, user_path
from src.metadata.metadata import Metadata
from src.metadata.model_entries import read_model_metadata
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-3  # of the largest logit


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if the program and ONNX Runtime give the same logits, 1 if not. Speed decides nothing.

    Raises:
        ConfigError: If a file or folder is missing.
    """
    parser = argparse.ArgumentParser(prog="benchmark_infer.py", description=__doc__)
    parser.add_argument("--model_path", type=user_path, required=True, help="MINDIR of version 1, batch size 1")
    parser.add_argument(
        "--onnx_path", type=user_path, required=True, help="ONNX of the same network and size, batch size 1"
    )
    parser.add_argument("--dataset_path", type=user_path, required=True, help="image folders, one folder a class")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn (default: %(default)s)")
    parser.add_argument("--json", type=user_path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    for path in (args.model_path, args.onnx_path, args.dataset_path):
        if not path.exists():
            raise ConfigError(f"no {path}: export.py writes the models, tools/make_sample_dataset.py writes images")
    out = ROOT / "ascend310_infer" / "out"
    _run("bash", str(ROOT / "ascend310_infer" / "build.sh"), "-DBUILD_BENCHMARK=ON")
    rounds = [_measure(args, out) for _ in range(args.rounds)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    medians["program / bare"] = statistics.median(each["program"] / each["bare"] for each in rounds)
    medians["program / onnx"] = statistics.median(each["program"] / each["onnx"] for each in rounds)
    for name, value in medians.items():
        print(f"{name:<24}{value:10.4g}")
    if args.json:
        atomic_write(args.json, json.dumps({"rounds": rounds, "medians": medians}, indent=2) + "\n")
    agrees = medians["largest difference"] <= TOLERANCE
    if not agrees:
        print(f"the logits differ by {medians['largest difference']:.2g} of the largest one", file=sys.stderr)
    return 0 if agrees else 1


def _measure(args: argparse.Namespace, out: Path) -> dict[str, float]:
    """Run each of the three once; speeds in images/s, latencies in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        results, times = Path(folder, "results"), Path(folder, "times")
        said = _run(
            str(out / "main"),
            *("--model_path", str(args.model_path), "--dataset_path", str(args.dataset_path)),
            *("--device_type", "CPU", "--result_path", str(results), "--time_path", str(times)),
        )
        found = re.search(r"predicted (\d+) images in [\d.]+ s, ([\d.]+) images/s", said)
        if not found:
            raise ValueError(f"cannot read the speed from what the program said: {said[-200:]}")
        count, program = int(found[1]), float(found[2])
        bare = float(_run(str(out / "predict_loop"), str(args.model_path), str(count)).split()[0])
        onnx, logits = _run_onnx(args.onnx_path, args.dataset_path)
        latencies = dict(re.findall(r"(\w+)_ms: ([\d.]+)", (times / "test_perform_static.txt").read_text()))
        written = [np.fromfile(path, np.float32) for path in sorted(results.glob("*.bin"))]
    difference = _difference(np.stack(written), logits)
    speeds = {"images": float(count), "bare": bare, "program": program, "onnx": onnx, "largest difference": difference}
    return speeds | {f"{name} ms": float(value) for name, value in latencies.items()}


def _run_onnx(model: Path, dataset: Path) -> tuple[float, np.ndarray]:
    """Return images/s and logits, in the order of the sorted paths, of ONNX Runtime behind this project's pipeline."""
    from onnxruntime import InferenceSession

    from src.data.preset import CROP_PCT, INTERPOLATION
    from src.dataset import create_dataset

    described = read_model_metadata(model) or Metadata()
    session = InferenceSession(str(model), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    images = create_dataset(
        str(dataset),
        False,
        1,
        image_size=source.shape[2],
        crop_pct=described.crop_pct or CROP_PCT,
        interpolation=described.interpolation or INTERPOLATION,
    )
    session.run(None, {source.name: np.zeros(source.shape, np.float32)})  # the first run is slower, as the program's is
    start = time.perf_counter()
    logits = [
        session.run(None, {source.name: image})[0][0]
        for image, _ in images.create_tuple_iterator(num_epochs=1, output_numpy=True)
    ]
    return len(logits) / (time.perf_counter() - start), np.stack(logits)


def _difference(left: np.ndarray, right: np.ndarray) -> float:
    """Return the largest difference of the logits, relative to the largest one; infinity for other shapes."""
    if left.shape != right.shape:
        return float("inf")
    return float(np.abs(left - right).max() / np.abs(right).max())


def _run(*words: str) -> str:
    """Run a command and return what it printed; raise with its last line if it fails."""
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
        raise ValueError(f"{Path(words[0]).name} failed with status {result.returncode}: {' '.join(last)}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(run_command(main))
