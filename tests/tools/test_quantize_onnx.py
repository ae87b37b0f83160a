"""An INT8 file says the same of images as the float32 file that it was made from, or it is not written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import Tensor, nn

import eval_onnx
from src.dataset import read_image
from src.export.exporter import ExportForm, export_network
from src.export.model_file import load_onnx
from src.metadata.metadata import Metadata
from src.metadata.model_entries import read_model_metadata
from src.model_utils.command import run_command
from tools import quantize_onnx


class Small(nn.Cell):
    """Three logits by the kinds of layers that Xception has."""

    def __init__(self):
        super().__init__()
        ms.set_seed(1)
        self.layers = nn.SequentialCell(
            [
                nn.Conv2d(3, 8, 3, 2, pad_mode="valid", weight_init="xavier_uniform"),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.Conv2d(8, 8, 3, pad_mode="pad", padding=1, group=8, weight_init="xavier_uniform"),
                nn.Conv2d(8, 16, 1, weight_init="xavier_uniform"),
                nn.MaxPool2d(3, 2, pad_mode="same"),
            ]
        )
        self.fc = nn.Dense(16, 3)

    def construct(self, images: Tensor) -> Tensor:
        return self.fc(self.layers(images).mean((2, 3)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """For five images at a time, which the 21 and the 37 images of the tests are no multiple of."""
    metadata = Metadata(("0", "1", "2"), 71, 0.9, "bicubic")
    path = tmp_path_factory.mktemp("onnx") / "small"
    return export_network(Small(), str(path), ExportForm("ONNX", 5, 71, 71), "CPU", metadata).path


def quantize(data: Path, source: Path, out: Path, *more: str) -> int:
    words = [str(source), str(out), f"--calibrate={data / 'train'}", f"--test_data_dir={data / 'val'}"]
    return run_command(quantize_onnx.main, [*words, *more])


@pytest.fixture(scope="module")
def quantized(exported, few_digits) -> Path:
    out = exported.with_name("int8.onnx")
    assert quantize(few_digits, exported, out, "--max_drop=100") == 0
    return out


def test_it_computes_in_int8_with_a_scale_for_each_channel_and_tells_what_the_other_told(exported, quantized):
    graph = onnx.load(str(quantized)).graph
    weights = {each.name: each for each in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3 and "BatchNormalization" not in {node.op_type for node in graph.node}
    for node in convolutions:
        images, kernel = (made_by[name] for name in node.input[:2])
        assert images.op_type == kernel.op_type == "DequantizeLinear"
        assert weights[kernel.input[0]].data_type == onnx.TensorProto.INT8
        assert weights[kernel.input[1]].dims == weights[kernel.input[0]].dims[:1]
        assert np.abs(onnx.numpy_helper.to_array(weights[kernel.input[0]])).max() <= 64
    assert read_model_metadata(quantized) == read_model_metadata(exported)
    assert read_model_metadata(quantized).class_names == ("0", "1", "2")


def test_its_logits_are_nearly_the_same(exported, quantized, few_digits):
    paths = sorted((few_digits / "val").glob("*/*"))[::8]
    images = np.stack([read_image(path, 71, crop_pct=0.9, interpolation="bicubic") for path in paths])
    before, after = (load_onnx(path).run(images) for path in (exported, quantized))
    difference = np.abs(after - before).max() / np.abs(before).max()
    assert 0 < difference < 0.05


def test_its_figures_are_those_of_its_evaluation(exported, few_digits, tmp_path, capsys):
    out = tmp_path / "new" / "int8.onnx"
    assert quantize(few_digits, exported, out, "--max_drop=100", "--calibration_images=7") == 0
    said = capsys.readouterr().out
    assert f"calibrated on 7 images of {few_digits / 'train'}\n" in said
    size, old, new = re.search(r"top-1 of (\d+) images +([\d.]+)% +([\d.]+)%\n", said).groups()
    assert re.search(r"size +\S+ MB +\S+ MB\nspeed +\S+ images/s +\S+ images/s\n", said)
    for path, top_1 in ((exported, old), (out, new)):
        words = ["--device_target=CPU", f"--onnx_path={path}", f"--test_data_dir={few_digits / 'val'}"]
        assert run_command(eval_onnx.main, words) == 0
        found = re.search(r"'Top_1_Acc': ([\d.]+)", capsys.readouterr().out)[1]
        assert f"{float(found):.3%}" == f"{top_1}%"
    assert size == "37" and said.endswith(f"wrote {out}\n")


def test_a_file_that_loses_more_than_allowed_is_not_written(exported, few_digits, tmp_path, monkeypatch, capsys):
    results = iter([(37, 0.9), (37, 0.88)])
    monkeypatch.setattr(quantize_onnx, "_evaluate", lambda config, path: next(results))
    assert quantize(few_digits, exported, tmp_path / "int8.onnx", "--max_drop=1.5") == 1
    captured = capsys.readouterr()
    assert "90.000%" in captured.out and "88.000%" in captured.out
    assert "int8.onnx is not written: top-1 falls by 2.000 points, more than --max_drop=1.5;" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_only_a_float32_file_is_quantised(quantized, few_digits, tmp_path, capsys):
    assert quantize(few_digits, quantized, tmp_path / "out.onnx") == 1
    assert "int8.onnx is quantised already: use the float32 file" in capsys.readouterr().err
    half = export_network(Small(), str(tmp_path / "half"), ExportForm("ONNX", 5, 71, 71, precision="float16"), "CPU")
    assert quantize(few_digits, half.path, tmp_path / "out.onnx") == 1
    assert "half.onnx is in float16: export it with --onnx_precision=float32" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out.pth"], "OUT must end in .onnx"),
        (["there.onnx"], "there.onnx exists: choose another name"),
        (["in.onnx", "--overwrite"], "IN and OUT are the same file"),
        (["out.onnx", "--calibration_images=0"], "--calibration_images must be at least 1"),
        (["out.onnx", "--max_drop=nan"], "--max_drop must be 0 to 100, got nan"),
    ],
)
def test_a_wrong_call_ends_before_any_work(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("in.onnx", "there.onnx"):
        Path(name).touch()
    assert run_command(quantize_onnx.main, ["in.onnx", *words, "--calibrate=a", "--test_data_dir=b"]) == 2
    assert message in capsys.readouterr().err


def test_without_the_package_a_line_tells_how_to_get_it(few_digits, exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert quantize(few_digits, exported, tmp_path / "out.onnx") == 1
    assert (
        "onnx, which quantisation needs, is missing: pip install -r requirements-quantize.txt"
        in capsys.readouterr().err
    )
