"""An ONNX file is evaluated like the checkpoint that it comes from, and a wrong one is told in one line."""

from __future__ import annotations

import ast
import base64
import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from PIL import Image

import eval_onnx
from src.checkpoints.weights import load_weights
from src.export.exporter import ExportForm, export_network
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.onnx_runtime import for_gpus
from tests.helpers.openvino_runtime import stand_in
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

RESULT = re.compile(r"^result: (\{.*\})$", re.MULTILINE)


class Small(nn.Cell):
    """Three logits from the mean colours, their softmax, or the feature maps before them."""

    def __init__(self, is_classifier: bool = True, softmax: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.conv.weight.set_data(Tensor(np.random.RandomState(0).normal(size=(3, 3, 3, 3)), ms.float32))
        self.is_classifier = is_classifier
        self.softmax = softmax

    def construct(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        if not self.is_classifier:
            return maps
        logits = maps.mean((2, 3)) * 9
        return ops.softmax(logits, -1) if self.softmax else logits


def export(path: Path, *shape: int, network: nn.Cell | None = None, dtype: type = np.float32, **more) -> Path:
    images = Tensor(np.zeros(shape, dtype))
    ms.onnx.export((network or Small()).set_train(False), images, file_name=str(path), **more)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A model with three classes and a fixed batch of five 71 x 71 images."""
    return export(tmp_path_factory.mktemp("onnx") / "small.onnx", 5, 3, 71, 71)


def evaluate(capsys, data: Path, model: Path | str, *options: str) -> tuple[int, str, str]:
    words = ["--device_target=CPU", f"--test_data_dir={data}", f"--onnx_path={model}", *options]
    status = run_command(eval_onnx.main, words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_script_finds_what_the_checkpoints_own_evaluation_found(trained, few_digits, tmp_path):
    network = xception(3)
    load_weights(network, str(trained[0] / "Xception-rank0-2_5.ckpt"))
    model = export_network(network, str(tmp_path / "net"), ExportForm("ONNX", 4, 71, 71), "CPU").path
    result = subprocess.run(
        ["bash", ROOT / "scripts/run_eval_onnx.sh", few_digits / "val", model, "--eval_report=report"],
        cwd=tmp_path, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    log = (tmp_path / "eval_onnx.log").read_text()
    expected = ast.literal_eval(RESULT.findall(trained[1].stdout)[-1])
    assert ast.literal_eval(RESULT.findall(log)[0]) == pytest.approx(expected, rel=1e-4)
    assert "evaluated 37 images, each once" in log.splitlines()
    assert "wrote report/per_class.csv" in log.splitlines()
    assert (tmp_path / "report" / "confusion_matrix.csv").read_text().startswith("true \\ predicted,0,1,2\n")


def test_a_file_that_ends_in_softmax_has_the_loss_and_the_confidences_of_its_logits(
    small, few_digits, tmp_path, capsys
):
    model = export(tmp_path / "softmax.onnx", 5, 3, 71, 71, network=Small(softmax=True))
    found = []
    for path in (small, model):
        report = tmp_path / path.stem
        status, output, errors = evaluate(capsys, few_digits / "val", path, f"--eval_report={report}")
        assert status == 0, errors
        assert (f"{path} gives probabilities, not logits: they are taken as such\n" in errors) is (path == model)
        rows = csv.reader((report / "mistakes.csv").read_text().splitlines()[1:])
        confidences = [float(row[-1]) for row in rows]
        found.append([*ast.literal_eval(RESULT.search(output)[1]).values(), *confidences])
    assert len(found[0]) > 3 and found[1] == pytest.approx(found[0], rel=1e-5)


def test_the_report_is_of_the_file_that_was_evaluated(small, few_digits, tmp_path, capsys):
    """Though the configuration of a training may name a checkpoint, too."""
    checkpoint, model = tmp_path / "checkpoints" / "a.ckpt", tmp_path / "models" / "b.onnx"
    for path, colour in ((checkpoint, "red"), (model, "blue")):
        path.parent.mkdir()
        Image.new("RGB", (9, 9), colour).save(path.with_name("curves.png"))
    shutil.copy(small, model)
    words = [f"--checkpoint_path={checkpoint}", f"--eval_report={tmp_path / 'report'}"]
    status, _, errors = evaluate(capsys, few_digits / "val", model, *words)
    assert status == 0, errors
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"<h1>Evaluation of b.onnx on {few_digits / 'val'}</h1>" in page
    curves = [base64.b64encode(path.with_name("curves.png").read_bytes()).decode() for path in (checkpoint, model)]
    assert [each in page for each in curves] == [False, True]


@pytest.mark.parametrize("size", [71, 90])
def test_a_size_that_the_file_leaves_open_is_the_configured_one(small, few_digits, tmp_path, capsys, size):
    is_open = size == 90
    axes = {0: "batch", 2: "height", 3: "width"} if is_open else {0: "batch"}
    names = {"input_names": ["pixels"], "output_names": ["scores"]}
    model = export(tmp_path / "open.onnx", 2, 3, 71, 71, **names, dynamic_axes={"pixels": axes, "scores": {0: "batch"}})
    options = ["--batch_size=8", f"--image_size={size}"]
    found = evaluate(capsys, few_digits / "val", model, *options)
    assert found[0] == 0 and "evaluated 37 images, each once" in found[1]
    loss = ast.literal_eval(RESULT.search(found[1])[1])["Loss"]
    fixed = evaluate(capsys, few_digits / "val", small, *options)
    same = loss == pytest.approx(ast.literal_eval(RESULT.search(fixed[1])[1])["Loss"], rel=1e-5)
    assert same is not is_open


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 27), {"network": nn.Dense(27, 3)}, r"takes tensor\(float\) \[5, 27\] instead of images"),
        ((5, 4, 71, 71), {"network": nn.Conv2d(4, 3, 3)}, r"takes tensor\(float\) \[5, 4, 71, 71\] instead of images"),
        ((5, 3, 71, 71), {"network": nn.ReLU(), "dtype": np.float16}, r"takes tensor\(float16\) .* instead of images"),
        ((5, 3, 71, 71), {"network": Small(False)}, r"gives float32 \[5, 3, 71, 71\] for 5 images instead of logits"),
        ((5, 3, 71, 90), {}, "takes images of 71 x 90 pixels, height x width: evaluation needs square ones"),
    ],
)
def test_a_model_that_is_no_classifier_of_square_images_is_one_line(
    few_digits, tmp_path, capsys, *, shape, options, message
):
    status, output, errors = evaluate(capsys, few_digits / "val", export(tmp_path / "wrong.onnx", *shape, **options))
    assert (status, output, len(errors.splitlines())) == (1, "", 1)
    assert re.match(rf"error: {tmp_path}/wrong\.onnx {message}", errors)


def test_a_damaged_and_an_absent_file_are_one_line(small, few_digits, tmp_path, capsys):
    half = tmp_path / "half.onnx"
    half.write_bytes(small.read_bytes()[: small.stat().st_size // 2])
    for path, message in (
        (half, f"error: cannot load {half}: it is damaged"),
        (tmp_path / "no", "error: no ONNX file"),
    ):
        status, output, errors = evaluate(capsys, few_digits / "val", path)
        assert (status, output, len(errors.splitlines())) == (1, "", 1)
        assert errors.startswith(message)


def test_other_classes_than_the_folders_are_one_line(small, digits, capsys):
    status, _, errors = evaluate(capsys, digits / "val", small)
    assert (status, len(errors.splitlines())) == (1, 1)
    assert f"{small} has 3 classes, but {digits / 'val'} has 10 class folders" in errors


def test_a_missing_onnxruntime_names_the_command(small, few_digits, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    status, _, errors = evaluate(capsys, few_digits / "val", small)
    assert status == 1
    assert errors.endswith("is missing: pip install -r requirements-onnx.txt\n")


def test_openvino_finds_the_same(small, few_digits, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    outputs = [
        evaluate(capsys, few_digits / "val", small, f"--eval_engine={engine}")[1] for engine in ("auto", "openvino")
    ]
    results = [ast.literal_eval(RESULT.search(output)[1]) for output in outputs]
    assert results[1] == pytest.approx(results[0], rel=1e-5)
    assert "\nOpenVINO used CPU\n" in outputs[1]


def test_a_gpu_that_is_not_there_is_told_and_the_cpu_does_the_work(small, few_digits, capsys):
    status, output, errors = evaluate(capsys, few_digits / "val", small, "--device_target=GPU")
    assert status == 0
    assert "\nONNX Runtime used CPUExecutionProvider\n" in output
    assert errors.startswith("onnxruntime finds no GPU: the CPU is used")


@pytest.mark.parametrize("device", ["GPU", "auto"])
@pytest.mark.parametrize("is_refused", [False, True])
def test_an_onnxruntime_for_gpus_that_runs_on_the_cpu_says_so(
    small, few_digits, capsys, monkeypatch, *, device, is_refused
):
    monkeypatch.setitem(sys.modules, "onnxruntime", for_gpus(is_refused))
    status, output, errors = evaluate(capsys, few_digits / "val", small, f"--device_target={device}")
    assert status == 0
    assert "\nONNX Runtime used CPUExecutionProvider\n" in output
    reason = "CUDA failure 100: no CUDA-capable device" if is_refused else "CUDAExecutionProvider does not start; "
    assert errors.startswith(f"ONNX Runtime uses the CPU for {small}: {reason}")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--onnx_path=", "no ONNX file given: add --onnx_path=FILE.onnx"),
        (
            "--eval_engine=mindspore",
            "eval_engine is mindspore, which does not compute .onnx files: use ",
        ),
        ("--device_target=Ascend", "ONNX files are evaluated on GPU or CPU: use --device_target=auto"),
        ("--is_distributed", "is_distributed is true, but an ONNX file is evaluated by one process: set it false"),
    ],
)
def test_a_wrong_call_is_one_line_with_status_2(small, few_digits, capsys, option, message):
    status, output, errors = evaluate(capsys, few_digits / "val", small, option)
    assert (status, output, len(errors.splitlines())) == (2, "", 1)
    assert errors.startswith(f"error: {message}")
