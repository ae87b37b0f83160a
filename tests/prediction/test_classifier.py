"""A network of any form is loaded as what it is, and a file that is none is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.checkpoints.weights import save_weights
from src.export.exporter import ExportForm, export_network
from src.prediction.classifier import load_classifier
from src.prediction.predictor import Options, predict
from src.prediction.ranking import rank
from src.Xception import xception
from tests.helpers.deterministic import random_images
from tests.helpers.onnx_runtime import for_gpus
from tests.helpers.prediction import configuration
from tests.helpers.small_classifier import Small

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("form", "version"), [("MINDIR", 0), ("MINDIR", 1), ("MINDIR", 2), ("ONNX", 0)])
def test_an_exported_model_decides_its_sizes_and_gives_its_logits(tmp_path, few_digits, form, version):
    network = Small().set_train(False)
    exported = export_network(network, str(tmp_path / "small model"), ExportForm(form, 2, 5, 5, version), "CPU")
    classifier = load_classifier(exported.path, configuration(few_digits, exported.path))
    assert (classifier.batch_size, classifier.image_size, classifier.num_classes) == (2, 5, 4)
    images = random_images(0, 2, 3, 5, 5)
    assert np.allclose(classifier.run(images.asnumpy()), network(images).asnumpy(), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"Grad-CAM needs .* checkpoint, not .*small model"):
        predict(configuration(few_digits, exported.path), ["x.jpg"], Options(save=tmp_path, gradcam=True))


class Softmax(nn.Cell):
    """The probabilities of a network."""

    def __init__(self, network: nn.Cell):
        super().__init__()
        self.network = network

    def construct(self, images: Tensor) -> Tensor:
        return ops.softmax(self.network(images) * 99, -1)


@pytest.mark.parametrize("form", ["MINDIR", "ONNX"])
def test_a_model_that_ends_in_softmax_keeps_its_probabilities(tmp_path, few_digits, capsys, form):
    network = Softmax(Small()).set_train(False)
    exported = export_network(network, str(tmp_path / "softmax"), ExportForm(form, 2, 5, 5), "CPU")
    capsys.readouterr()
    classifier = load_classifier(exported.path, configuration(few_digits, exported.path))
    assert capsys.readouterr().err == f"{exported.path} gives probabilities, not logits: they are taken as such\n"
    images = random_images(0, 2, 3, 5, 5)
    for logits, wanted in zip(classifier.run(images.asnumpy()), network(images).asnumpy(), strict=True):
        assert wanted.max() > 0.5
        assert np.allclose(rank(exported.path, logits).probabilities, -np.sort(-wanted), rtol=1e-5)


@pytest.mark.parametrize(
    ("device", "runtime", "reason"),
    [
        ("GPU", None, "it finds no GPU (onnxruntime-gpu can use one)"),
        ("GPU", for_gpus(is_refused=False), "CUDAExecutionProvider does not start"),
        ("Ascend", None, "it has no Ascend"),
        ("CPU", None, None),
    ],
)
def test_the_cpu_in_the_place_of_another_device_is_told(
    tmp_path, few_digits, capsys, monkeypatch, *, device, runtime, reason
):
    path = export_network(Small(), str(tmp_path / "small"), ExportForm("ONNX", 2, 5, 5), "CPU").path
    capsys.readouterr()
    if runtime:
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    load_classifier(path, configuration(few_digits, path).replace(device_target=device))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (1 if reason else 0)
    assert not reason or lines[0].startswith(f"ONNX Runtime uses the CPU for {path}: {reason}")


def test_a_model_that_is_no_classifier_of_square_images_is_refused(tmp_path, few_digits):
    wide = export_network(Small(), str(tmp_path / "wide"), ExportForm("MINDIR", 1, 6, 5), "CPU").path
    with pytest.raises(ValueError, match=r"wide.mindir takes input of shape \(1, 3, 5, 6\): only"):
        load_classifier(wide, configuration(few_digits, wide))
    maps = export_network(nn.ReLU(), str(tmp_path / "maps"), ExportForm("MINDIR", 1, 5, 5), "CPU").path
    save_weights(tmp_path / "small.ckpt", Small())
    text = tmp_path / "text.mindir"
    text.write_text("text")
    for path, message in (
        (maps, r"maps.mindir gives float32 \[1, 3, 5, 5\] for 1 images instead of logits"),
        (tmp_path / "small.ckpt", "none of Xception: it has no fc.bias"),
        (text, "cannot load .*text.mindir"),
        (tmp_path / "absent.onnx", "no file .*absent.onnx"),
        (few_digits / "val" / "0", "no file"),
    ):
        with pytest.raises(ValueError, match=message):
            load_classifier(path, configuration(few_digits, path))


def test_a_checkpoint_is_read_once(tmp_path, few_digits, monkeypatch):
    """It is the largest file of a prediction, and may lie on a network file system."""
    save_weights(tmp_path / "net.ckpt", xception(3))
    read = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path), original(path))[1])
    load_classifier(tmp_path / "net.ckpt", configuration(few_digits, tmp_path / "net.ckpt"))
    assert read == [tmp_path / "net.ckpt"]
