"""Every engine gives a checkpoint's images the same logits, and what they say besides never mixes with the results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.cpu.library import build_evaluation_library
from src.dataset import read_image
from src.prediction.classifier import Classifier, load_classifier
from src.prediction.predictor import Means, Options, predict
from tests.helpers.openvino_runtime import stand_in
from tests.helpers.prediction import ONE_WORKER, configuration
from tests.helpers.training_run import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(few_digits) -> np.ndarray:
    paths = sorted((few_digits / "val").glob("*/*"))[:12:3]
    return np.stack([read_image(path, 71) for path in paths])


def load(few_digits, checkpoint, engine: str) -> Classifier:
    config = configuration(few_digits, checkpoint).replace(eval_engine=engine)
    library = build_evaluation_library(config)
    assert (library is not None) is (engine == "auto")
    return load_classifier(checkpoint, config, library=library)


def test_logits_are_equal_over_engines(few_digits, checkpoint, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    expected = load(few_digits, checkpoint, "mindspore").run(images)
    for engine in ("auto", "onnx", "openvino"):
        found = load(few_digits, checkpoint, engine).run(images)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max(), engine
        assert np.array_equal(found.argmax(1), expected.argmax(1))


def predict_in_half(checkpoint: Path, image: Path, cwd: Path) -> subprocess.CompletedProcess:
    words = [f"--checkpoint_path={checkpoint}", str(image), "--json", "--device_target=CPU", "--amp_level=O2"]
    return run("predict.py", [*words, ONE_WORKER], cwd)


def test_bfloat16_is_another_precision_of_the_same_network(few_digits, checkpoint, predicted, tmp_path, monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)  # the tests keep themselves to AVX2
    path = sorted((few_digits / "val" / "1").iterdir())[0]
    result = predict_in_half(checkpoint, path, tmp_path)
    assert result.returncode == 0, result.stderr
    if "has no avx512_bf16: computing in float32\n" in result.stderr:
        pytest.skip("this processor has no bfloat16")
    (image,) = json.loads(result.stdout)["images"]
    found = {row["class"]: row["probability"] for row in image["predictions"]}
    expected = next(image for image in predicted.images if image.path == path)
    differences = [
        abs(found[label] - share) for label, share in zip(expected.classes, expected.probabilities, strict=True)
    ]
    assert 0 < max(differences) <= 3e-2


def test_predictions_by_the_operators_are_those_without(few_digits, checkpoint, predicted):
    config = configuration(few_digits, checkpoint)
    means = Means(build_evaluation_library(config))
    found = predict(config, [str(few_digits / "val")], Options(topk=99), means)
    for image, expected in zip(found.images, predicted.images, strict=True):
        assert (image.path, list(image.classes)) == (expected.path, list(expected.classes))
        assert np.allclose(image.probabilities, expected.probabilities, rtol=0, atol=1e-5)


def test_without_a_compiler_a_line_on_stderr_says_so_and_mindspore_predicts(
    few_digits, checkpoint, predicted, tmp_path, monkeypatch
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    path = sorted((few_digits / "val" / "1").iterdir())[0]
    result = predict_in_half(checkpoint, path, tmp_path)
    assert result.returncode == 0, result.stderr
    (found,) = json.loads(result.stdout)["images"]
    expected = next(image for image in predicted.images if image.path == path)
    assert [row["class"] for row in found["predictions"]] == list(expected.classes)
    assert "without a C++ compiler (no-such-compiler is not there; " in result.stderr
    assert "amp_level is O2, but that needs the operators in C++: computing in float32\n" in result.stderr


def test_grad_cam_and_another_runtime_do_not_go_together(tmp_path):
    words = ["--checkpoint_path=a.ckpt", "a.jpg", "--gradcam", "--save=out", "--eval_engine=onnx"]
    result = run("predict.py", words, tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: --gradcam looks into MindSpore's network: leave out --eval_engine=onnx\n"
