"""ONNX files of any batch size and in float16 give the network's logits, and what float16 cannot hold is refused."""

from __future__ import annotations

import os
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from onnxruntime import InferenceSession

import export
from src.checkpoints.weights import save_weights
from src.export.exporter import FLOAT16_TOLERANCE, ExportForm, export_network
from src.export.onnx_format import FLOAT, FLOAT16, model_class
from src.export.onnx_rewrite import LARGEST, largest_value
from src.model_utils.command import run_command
from src.Xception import Xception, xception
from tests.helpers.deterministic import random_images, set_weights
from tests.helpers.small_classifier import Small

pytestmark = pytest.mark.slow

SIDE = 72  # an even size, where the two paddings differ
SIZE = (f"--width={SIDE}", f"--height={SIDE}")


@pytest.fixture(scope="module", params=["same", "symmetric"])
def network(request) -> Xception:
    """Xception with ten classes, whose values are of the size of a trained network's."""
    network = xception(10, pool_padding=request.param)
    set_weights(network)
    for parameter in network.get_parameters():
        if parameter.name.endswith(".gamma"):
            parameter.set_data(Tensor(parameter.asnumpy() / 2))
    return network.set_train(False)


def run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape and found.dtype == np.float32
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_file_of_any_batch_size_runs_with_1_3_and_8_images(network, tmp_path, capfd, precision):
    checkpoint = tmp_path / "net.ckpt"
    save_weights(checkpoint, network)
    name = tmp_path / "any"
    words = [f"--ckpt_file={checkpoint}", "--num_classes=10", f"--file_name={name}", *SIZE]
    words += ["--device_target=CPU", "--file_format=ONNX", "--dynamic_batch=True", f"--onnx_precision={precision}"]
    assert run_command(export.main, words) == 0
    output = capfd.readouterr().out
    assert f"input any number x 3 x {SIDE} x {SIDE}{', float16' if precision == 'float16' else ''}\n" in output
    assert "checked: loaded back, its logits for 1, 3 and 8 images differ by" in output
    path = name.with_suffix(".onnx")
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, SIDE, SIDE]
    assert session.get_outputs()[0].shape == ["batch", 10]
    images = random_images(9, 8, 3, SIDE, SIDE)
    expected = network(images).asnumpy()
    for count in (1, 3, 8):
        found = difference(run_onnx(path, images.asnumpy()[:count]), expected[:count])
        assert found <= (FLOAT16_TOLERANCE if precision == "float16" else 1e-4)
    assert capfd.readouterr().err == ""  # where sizes inside the file contradict each other, ONNX Runtime warns


def test_a_float16_file_holds_float16_and_takes_and_gives_float32(tmp_path):
    network, same = Small(), Small()
    same.conv.weight.set_data(network.conv.weight)
    whole = export_network(network, str(tmp_path / "whole"), ExportForm("ONNX", 2, 5, 5), "CPU")
    half = export_network(same, str(tmp_path / "half"), ExportForm("ONNX", 2, 5, 5, precision="float16"), "CPU")
    assert 1e-6 < half.difference < 1e-2
    graph = model_class().FromString(half.path.read_bytes()).graph
    assert {weight.data_type for weight in graph.initializer} == {FLOAT16}
    assert [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)] == [FLOAT, FLOAT]
    assert [node.op_type for node in graph.node][:: len(graph.node) - 1] == ["Cast", "Cast"]
    wholly = model_class().FromString(whole.path.read_bytes()).graph
    for weight, original in zip(graph.initializer, wholly.initializer, strict=True):
        rounded = np.frombuffer(original.raw_data, np.float32).astype(np.float16)
        assert weight.raw_data == rounded.tobytes()


class Large(Small):
    """A network of usual weights and logits, between which there are large values."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def construct(self, x: Tensor) -> Tensor:
        return ((self.conv(x) * self.factor) * (1 / self.factor)).mean((2, 3))


def fill(value: float) -> nn.Cell:
    network = Small()
    network.conv.weight.set_data(Tensor(np.full(network.conv.weight.shape, value), ms.float32))
    return network


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: Large(1e6),
            r"half\.onnx is not written: its value \S+ reaches .*e\+0\d, and float16 is trusted up",
        ),
        (lambda: fill(1e5), r"half\.onnx is not written: its (value|weight) .* reaches"),
        (lambda: fill(np.nan), "reaches nan"),
    ],
)
def test_what_float16_cannot_hold_is_refused(tmp_path, network, message):
    """Though ONNX Runtime computes in float32 on a CPU, where nothing of it would be seen."""
    (tmp_path / "half.onnx").write_text("good")
    with pytest.raises(ValueError, match=rf"{message}.*; use --onnx_precision=float32$"):
        export_network(network(), str(tmp_path / "half"), ExportForm("ONNX", 1, 5, 5, precision="float16"), "CPU")
    assert (tmp_path / "half.onnx").read_text() == "good"


def test_the_largest_value_of_all_layers_is_found(tmp_path):
    path = export_network(fill(2.0), str(tmp_path / "net"), ExportForm("ONNX", 1, 5, 5), "CPU").path
    images = np.ones((1, 3, 5, 5), np.float32)
    assert largest_value(path, images)[0] == 2 * 27 < LARGEST


def test_an_old_file_stays_where_a_batch_of_another_size_differs(tmp_path):
    class Mixing(Small):
        """Every image's logits depend on the whole batch."""

        def construct(self, x: Tensor) -> Tensor:
            logits = self.conv(x).mean((2, 3))
            return logits - logits.mean(0, keep_dims=True)

    (tmp_path / "any.onnx").write_text("good")
    with pytest.raises(ValueError, match=r"any\.onnx is not written: its logits differ"):
        export_network(Mixing(), str(tmp_path / "any"), ExportForm("ONNX", 1, 5, 5, dynamic_batch=True), "CPU")
    assert (tmp_path / "any.onnx").read_text() == "good"


@pytest.mark.parametrize("option", ["--dynamic_batch=True", "--onnx_precision=float16"])
def test_both_are_for_onnx_alone(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    save_weights(tmp_path / "net.ckpt", xception(2))
    words = ["--ckpt_file=net.ckpt", "--num_classes=2", "--device_target=CPU", option]
    assert run_command(export.main, words) == 1
    error = "error: --dynamic_batch and --onnx_precision are for ONNX alone: leave them out for MINDIR, or use "
    assert capsys.readouterr().err == f"{error}--file_format=ONNX\n"
    assert os.listdir(tmp_path) == ["net.ckpt"]
