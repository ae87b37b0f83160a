"""The features of an image are what the classifier sees: they are written with its path, and lead to its logits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from predict import main
from src.checkpoints.weights import load_network
from src.cpu.library import build_evaluation_library
from src.model_utils.config import ConfigError
from src.prediction.classifier import load_classifier
from src.prediction.output import write_features
from src.prediction.predictor import Means, Options, Predictions, predict
from src.prediction.ranking import Prediction
from tests.helpers.prediction import configuration

pytestmark = pytest.mark.slow


def test_features_lead_to_the_predictions_that_are_made_without_them(few_digits, checkpoint, predicted):
    config = configuration(few_digits, checkpoint)
    means = Means(build_evaluation_library(config))
    found = predict(config, [str(few_digits / "val")], Options(topk=99, features=True), means)
    assert found.features.shape == (37, 2048) and found.features.dtype == np.float32
    head = load_network(checkpoint).network.fc
    logits = found.features @ head.weight.asnumpy().T + head.bias.asnumpy()
    for image, expected, row in zip(found.images, predicted.images, logits, strict=True):
        assert (image.path, list(image.classes)) == (expected.path, list(expected.classes))
        assert np.allclose(image.probabilities, expected.probabilities, rtol=0, atol=1e-5)
        assert image.classes[0] == row.argmax()


def test_features_are_equal_over_engines(few_digits, checkpoint):
    images = np.random.default_rng(0).uniform(-1, 1, (4, 3, 71, 71)).astype(np.float32)
    found = []
    for engine in ("auto", "mindspore"):
        config = configuration(few_digits, checkpoint).replace(eval_engine=engine)
        library = build_evaluation_library(config)
        found.append(load_classifier(checkpoint, config, library=library, features=True).to_features(images)[0])
    assert np.abs(found[0] - found[1]).max() <= 1e-4 * np.abs(found[1]).max()


def test_features_are_written_with_their_paths(tmp_path):
    features = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    images = [Prediction(Path(name), (0,), (1.0,)) for name in ("a,b.jpg", "é.png")]
    predictions = Predictions(images, ["zero"], {}, features)
    for suffix in ("npz", "csv"):
        said = write_features(tmp_path / "new" / f"out.{suffix}", predictions)
        assert said == f"wrote {tmp_path / 'new' / f'out.{suffix}'}: 5 features of each of 2 images"
    with np.load(tmp_path / "new" / "out.npz", allow_pickle=False) as found:
        assert found["paths"].tolist() == ["a,b.jpg", "é.png"]
        assert found["features"].dtype == np.float32 and np.array_equal(found["features"], features)
    with (tmp_path / "new" / "out.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["image", *(f"feature_{number}" for number in range(5))]
    assert [row[0] for row in rows] == ["a,b.jpg", "é.png"]
    assert np.array_equal(np.array([row[1:] for row in rows], np.float32), features)


def test_without_a_prediction_the_file_that_was_there_stays(tmp_path):
    (tmp_path / "out.npz").write_text("old")
    assert "is not written" in write_features(tmp_path / "out.npz", Predictions([], ["zero"], {"a.jpg": "no image"}))
    assert (tmp_path / "out.npz").read_text() == "old"


def test_a_model_file_has_no_features_to_give(few_digits, tmp_path):
    path = tmp_path / "net.onnx"
    path.touch()
    with pytest.raises(ValueError, match=r"features are inside the network: give its checkpoint, not .*net\.onnx"):
        load_classifier(path, configuration(few_digits, path), features=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--features=out.txt"], "must end in .npz or .csv, got out.txt"),
        (["--features=out.npz", "--save=out", "--gradcam"], "call the command twice"),
    ],
)
def test_a_wrong_call_ends_before_any_work(words, message):
    with pytest.raises(ConfigError, match=message):
        main(["--checkpoint_path=a.ckpt", "a.jpg", *words])
