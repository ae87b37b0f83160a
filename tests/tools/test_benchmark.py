"""The benchmark measures what it says, compares variants in one run, and fails on wrong results alone."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.checkpoints.position import Position
from src.data.image_source import open_images
from src.data.usable_images import UsableImages
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE
from src.training.images import train_dataset
from tests.helpers.project import ROOT
from tools import benchmark
from tools.benchmarks import peers
from tools.benchmarks.images import write_images
from tools.benchmarks.inputs import open_batches
from tools.benchmarks.rounds import difference
from tools.benchmarks.table import describe, describe_machine

pytestmark = pytest.mark.slow

SMALL = ["--image_size=71", "--batch_size=2", "--images=4", "--num_classes=4", "--device_target=CPU"]


def measure(tmp_path: Path, *words: object) -> tuple[subprocess.CompletedProcess, dict]:
    """Run the benchmark from another folder; return what it printed and its JSON file."""
    command = [sys.executable, ROOT / "tools/benchmark.py", words[0], *SMALL, *words[1:], "--json=figures/found.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400)
    path = tmp_path / "figures" / "found.json"
    return result, json.loads(path.read_text()) if path.exists() else {}


def check_record(record: dict, line: str, rounds: int) -> None:
    """Check that a record is complete and agrees with its line of the table."""
    speed = record["images_per_second"]
    assert len(speed["rounds"]) == rounds
    assert 0 < speed["min"] <= speed["median"] <= speed["max"]
    assert speed["median"] == statistics.median(speed["rounds"])
    assert record["start_seconds"] > 0 and record["compile_seconds"] >= 0 and record["peak_memory"] > 1e8
    assert record["problems"] == []
    precision = record["precision"]
    assert line.startswith(f"{record['work']:<15} {record['name']:<12} {precision:<9} {71:>5} {2:>5} ")


@pytest.fixture
def _openvino(tmp_path, monkeypatch):
    """A module that is imported as OpenVINO, by the processes of a benchmark too."""
    pytest.importorskip("torch")
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "openvino.py").write_text(
        "from tests.helpers.openvino_runtime import stand_in\n\nCore = stand_in().Core\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")


@pytest.mark.usefixtures("_openvino")
def test_the_peers_are_measured_in_turn_with_equal_results(tmp_path):
    result, report = measure(tmp_path, "evaluation", "--against", "torch", "onnx", "openvino", "--rounds=2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:6] == ["work", "by", "precision", "size", "batch", "images/s"]
    names = ["this version", "PyTorch", "ONNX Runtime", "OpenVINO"]
    assert [record["name"] for record in report["works"]] == names
    for record, line in zip(report["works"], lines[1:], strict=False):
        check_record(record, line, rounds=2)
    own, torch = (record["images_per_second"]["rounds"] for record in report["works"][:2])
    ratio = report["works"][1]["ratio"]
    assert ratio["to"] == "this version"
    assert ratio["rounds"] == pytest.approx(np.divide(torch, own))
    assert f" {ratio['median']:.3f} " in lines[2]
    machine = report["machine"]
    assert machine["cpu"] in lines[5] and f"torch {machine['torch']}" in lines[5]
    assert lines[6].startswith("load average ")
    ratios = np.divide(own, torch)
    line = f"evaluation, 71 x 2: this version is {np.median(ratios):.2f} x PyTorch ({ratios[0]:.2f}, {ratios[1]:.2f})"
    assert lines[7] == line
    assert len(lines) == 10


def test_a_peer_that_is_missing_names_the_command(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^torch is missing: pip install -r requirements-benchmark\.txt$"):
        benchmark.main(["training", "--against=torch"])


def test_ranks_and_pytorch_end_with_equal_weights(tmp_path):
    pytest.importorskip("torch")
    result, report = measure(tmp_path, "training", "--ranks=2", "--against=torch", "--precision=float32", "--rounds=1")
    assert result.returncode == 0, result.stderr
    names = ["this version", "2 ranks", "PyTorch"]
    assert [record["name"] for record in report["works"]] == names
    for record, line in zip(report["works"], result.stdout.splitlines()[1:], strict=False):
        check_record(record, line, rounds=1)


def test_another_checkout_with_other_results_fails_and_is_named(tmp_path, few_digits):
    other = tmp_path / "other"
    for name in ("src", "tools"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "default_config.yaml", other)
    path = other / "src" / "data" / "preset.py"
    text = path.read_text()
    assert "return round(self.image_size / self.crop_pct)" in text
    path.write_text(text.replace("self.image_size / self.crop_pct)", "self.image_size / self.crop_pct + 80)"))
    words = ["pipeline", f"--data={few_digits / 'val'}", f"--against={other}", "--rounds=1"]
    result, report = measure(tmp_path, *words)
    assert result.returncode == 1
    wrong = [line for line in result.stderr.splitlines() if line.startswith("wrong result: ")]
    assert len(wrong) == 1
    assert wrong[0].startswith("wrong result: pipeline-eval by other and this version: pixels differ by ")
    assert [(record["work"], record["name"]) for record in report["works"]] == [
        (work, by) for work in ("pipeline-train", "pipeline-eval") for by in ("this version", "other")
    ]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"losses": [1.0005, -2.0]}, ""),
        ({"losses": [1.003, -2.0]}, "losses differ by 0.0015 of the largest, more than 0.001"),
        ({"losses": [1.0, np.nan]}, "losses that are NaN or infinite"),
        ({"losses": [1.0]}, "1 losses instead of 2"),
        ({}, "0 losses instead of 2"),
    ],
)
def test_results_agree_up_to_rounding(found, message):
    assert difference(found, {"losses": [1.0, -2.0]}) == message


def test_training_is_measured_on_the_batches_that_it_has(few_digits):
    words = [f"--test_data_dir={few_digits / 'val'}", "--batch_size=3", "--image_size=71", "--gradient_accumulation=2"]
    config = parse_config([*words, "--num_classes=3"], lambda _: "CPU")
    images = UsableImages(open_images(str(few_digits / "val")), 37)
    expected = train_dataset(config, ALONE, images, Position()).take(2)
    found = open_batches(config, True, 12)
    labels = [
        [label.tolist() for _, label in each.create_tuple_iterator(num_epochs=1, output_numpy=True)]
        for each in (found, expected)
    ]
    assert labels[0] == labels[1] and np.shape(labels[0]) == (2, 2, 3)
    with pytest.raises(ValueError, match="the 9 images of a round are no whole steps of 6"):
        open_batches(config, True, 9)


def test_fewer_cores_and_ranks_are_measured_beside_the_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 4, 5})
    args, options = benchmark._parse(["training", "--device_target=CPU", "--cores", "1", "2", "--ranks=3"])
    found = list(benchmark._variants(args, "training", {"batch_size": 8, "precision": ""}, options, tmp_path))
    assert [(each.name, each.ranks, each.options[-1]) for each in found] == [
        ("this version", 1, "--cores=3,4,5"),
        ("3 ranks", 3, "--cores=3,4,5"),
        ("1 core", 1, "--cores=3"),
        ("2 cores", 1, "--cores=3,4"),
    ]
    same_images = [each.name for each in found if "--num_parallel_workers=3" in each.options]
    assert same_images == ["this version", "1 core", "2 cores"]  # ranks see other ones, and share the threads


def test_the_variables_that_limit_a_processor_are_told(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in describe(describe_machine(), [0.0, 0.0])


def test_a_process_that_fails_is_one_line(tmp_path, few_digits):
    result, report = measure(tmp_path, "pipeline", f"--data={few_digits / 'val'}", "--images=100", "--rounds=1")
    assert (result.returncode, report) == (1, {})
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: pipeline-train by this version has failed: {few_digits / 'val'} has 37 images, "
        "less than the 100 of a round: use --images"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "--images=4"], "--images=4 is less than a batch for each rank"),
        (["predict", "--cores", "1", "1000"], "--cores must be from 1 to .*, those that there are: 1000"),
        (["predict", "--rounds=0"], "--rounds must be 1 or more: 0"),
        (["training", "--ranks=1000", "--images=100000"], "--ranks=1000 needs as many cores"),
        (["predict", "--against", "onnx", "absent"], "--against takes .*torch or the folder of a checkout .*: absent"),
        (["training", "--against=torch", "--device_target=GPU"], "--against=torch compares on CPU"),
    ],
)
def test_a_wrong_call_starts_nothing(words, message, capsys):
    with pytest.raises(ValueError, match=message):
        benchmark.main(["--device_target=CPU", *words])
    assert capsys.readouterr().out == ""


def test_the_images_are_photograph_like_and_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 5)
    paths = sorted((tmp_path / "a").glob("*/*.jpg"))
    assert [path.parent.name for path in paths] == ["0", "0", "1", "2", "3"]
    for path in paths:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
        assert 40_000 < path.stat().st_size < 200_000  # ImageNet's mean is 110 kB
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((500, 375), "RGB")
