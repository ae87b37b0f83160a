"""How evaluation resizes is a setting that counts wherever images are evaluated or predicted, and for all the same."""

from __future__ import annotations

import ast
import json
import re

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

import eval_onnx
import predict as predict_door
from src.data.class_matching import ModelClasses
from src.data.image_source import open_images
from src.dataset import read_image
from src.evaluation.counting import Engine
from src.evaluation.evaluation_set import evaluate_test_images, open_evaluation_set
from src.export.exporter import ExportForm, export_network
from src.model_utils.command import run_command
from src.model_utils.local_adapter import ALONE
from src.model_utils.weights_settings import settle
from src.prediction import predictor
from src.prediction.classifier import Classifier
from src.prediction.predictor import Options, predict
from tests.helpers.configuration import parse
from tests.helpers.prediction import ONE_WORKER, configuration

SIZE = 71
SETTINGS = [(0.934375, "bilinear"), (0.5, "bilinear"), (0.934375, "bicubic"), (1.0, "bicubic")]


class Strips(nn.Cell):
    """Three logits, the means of red over three strips of the image."""

    def construct(self, images: Tensor) -> Tensor:
        strips = [images[:, :1, :, start : start + 9].mean((2, 3)) for start in (0, 20, 40)]
        return ops.cat(strips, 1) * 9


@pytest.mark.parametrize(("crop_pct", "interpolation"), SETTINGS)
def test_evaluation_and_validation_see_what_is_set(few_digits, crop_pct, interpolation):
    data = few_digits / "val"
    words = ["--num_classes=3", f"--image_size={SIZE}", "--batch_size=8", f"--test_data_dir={data}"]
    config = parse(*words, f"--crop_pct={crop_pct}", f"--interpolation={interpolation}")
    seen = []

    def run(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(images)
        return np.zeros((len(labels), 3), np.float32), np.zeros(len(labels), np.float32)

    engine = Engine(run, 3, 8, normalizes=False)
    evaluated = open_evaluation_set(config, open_images(str(data)), ModelClasses("net", 3), ALONE)
    evaluate_test_images(config, engine, evaluated, ALONE)
    expected = [
        read_image(path, SIZE, crop_pct=crop_pct, interpolation=interpolation) for path in sorted(data.glob("*/*"))
    ]
    assert np.array_equal(np.concatenate(seen)[: len(expected)], expected)


@pytest.mark.parametrize(("crop_pct", "interpolation"), SETTINGS)
def test_prediction_and_its_pictures_see_what_is_set(few_digits, tmp_path, monkeypatch, crop_pct, interpolation):
    (data, *_) = sorted((few_digits / "val").iterdir())
    words = (f"--crop_pct={crop_pct}", f"--interpolation={interpolation}")
    seen, shares = [], []

    def run(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros((len(images), 3), np.float32)

    class Pictures:
        def __init__(self, folder, paths, names, share):
            shares.append(share)

        def draw(self, ranked, heat, heat_class):
            pass

    settled = settle(parse(f"--image_size={SIZE}", *words), tmp_path / "net.ckpt", None).fit(3)
    monkeypatch.setattr(predictor, "load_classifier", lambda *_, **__: Classifier(run, 5, settled, ()))
    monkeypatch.setattr(predictor, "PictureFolder", Pictures)
    predict(configuration(few_digits, tmp_path / "net.ckpt"), [str(data)], Options(save=tmp_path))
    expected = [
        read_image(path, SIZE, crop_pct=crop_pct, interpolation=interpolation) for path in sorted(data.iterdir())
    ]
    assert np.array_equal(np.concatenate(seen)[: len(expected)], expected)
    assert shares == [SIZE / round(SIZE / crop_pct)]


def test_the_commands_take_both_options(few_digits, tmp_path, capsys):
    """The evaluation's loss and the predictions are those of images that are resized like this and no other way."""
    model = export_network(Strips(), str(tmp_path / "strips"), ExportForm("ONNX", 4, SIZE, SIZE), "CPU").path
    losses = {}
    for crop_pct, interpolation in SETTINGS:
        options = ["--device_target=CPU", f"--crop_pct={crop_pct}", f"--interpolation={interpolation}"]
        words = [f"--test_data_dir={few_digits / 'val'}", f"--onnx_path={model}", "--use_label_smooth=False", *options]
        assert run_command(eval_onnx.main, words) == 0
        found = re.search(r"^result: (\{.*\})(?: ckpt= .*)?$", capsys.readouterr().out, re.MULTILINE)
        words = [f"--checkpoint_path={model}", "--json", "--topk=3", str(few_digits / "val"), *options, ONE_WORKER]
        assert run_command(predict_door.main, words) == 0
        images = json.loads(capsys.readouterr().out)["images"]
        chances = []
        for image in images:
            by_class = {each["class"]: each["probability"] for each in image["predictions"]}
            pixels = read_image(image["image"], SIZE, crop_pct=crop_pct, interpolation=interpolation)
            logits = np.array([pixels[0, :, start : start + 9].mean(dtype=float) for start in (0, 20, 40)]) * 9
            expected = np.exp(logits) / np.exp(logits).sum()
            assert np.allclose([by_class[label] for label in range(3)], expected, rtol=1e-4)
            chances.append(expected[int(image["image"].split("/")[-2])])
        losses[crop_pct, interpolation] = ast.literal_eval(found[1])["Loss"]
        assert losses[crop_pct, interpolation] == pytest.approx(-np.log(chances).mean(), rel=1e-4)
    assert len({round(loss, 4) for loss in losses.values()}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--crop_pct=0", "a number > 0.0 and <= 1.0, got '0'"),
        ("--crop_pct=1.1", "a number > 0.0 and <= 1.0, got '1.1'"),
        ("--interpolation=nearest", "one of bilinear, bicubic, got 'nearest'"),
    ],
)
def test_values_that_are_none_are_refused_in_one_line(capsys, tmp_path, option, expected):
    words = [f"--checkpoint_path={tmp_path / 'net.ckpt'}", "x.jpg", "--device_target=CPU", option]
    assert run_command(predict_door.main, words) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{option.split('=')[0]}: expected {expected}")
