"""Each engine computes the files that it can, in the precision that is asked for, and one line says what it cannot."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from src.export.openvino_file import load_openvino
from src.model_utils import eval_engine
from src.model_utils.config import Config, parse_config
from src.model_utils.eval_engine import check_engine, check_model_file, convert_to_engine, load_by_engine
from tests.helpers.deterministic import random_images
from tests.helpers.openvino_runtime import stand_in
from tests.helpers.small_classifier import Small


def configure(engine: str, *words: str, device: str = "CPU") -> Config:
    given = [f"--eval_engine={engine}", "--batch_size=2", "--image_size=71", *words]
    return parse_config(given, lambda _: device)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    ms.onnx.export(Small().set_train(False), random_images(0, 2, 3, 71, 71), file_name=str(path))
    return path


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_network_and_its_file_give_the_same_logits(small, monkeypatch, engine):
    asked: list[str] = []
    monkeypatch.setitem(sys.modules, "openvino", stand_in(asked=asked))
    network, images = Small().set_train(False), random_images(1, 2, 3, 71, 71)
    expected = network(images).asnumpy()
    converted = convert_to_engine(configure(engine), network).run(images.asnumpy())
    assert np.abs(converted - expected).max() <= 1e-4 * np.abs(expected).max()
    model = load_by_engine(configure(engine), small)
    assert model.input_shape == (2, 3, 71, 71) and model.only_size == 71
    assert asked == (["f32", "f32"] if engine == "openvino" else [])


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_openvino_computes_in_bfloat16_where_that_is_asked_for_and_there(small, monkeypatch, capsys, has_bfloat16):
    asked: list[str] = []
    monkeypatch.setitem(sys.modules, "openvino", stand_in(has_bfloat16, asked))
    load_by_engine(configure("openvino", "--amp_level=O2"), small)
    assert asked == ["bf16"]
    line = f"OpenVINO computes {small} in float32: this processor has no bfloat16\n"
    assert capsys.readouterr().err == ("" if has_bfloat16 else line)


@pytest.mark.parametrize(
    ("engine", "device", "words", "message"),
    [
        (
            "onnx",
            "CPU",
            ["--amp_level=O2"],
            "ONNX Runtime evaluates in float32, but amp_level is O2: use",
        ),
        (
            "onnx",
            "GPU",
            ["--amp_level=O0"],
            "onnxruntime finds no GPU: install onnxruntime-gpu, or",
        ),
        ("onnx", "Ascend", [], "ONNX Runtime evaluates on GPU or CPU: use --eval_engine=mindspore on Ascend"),
        ("openvino", "GPU", [], "OpenVINO computes on CPU here, but device_target is GPU: use --device_target=CPU"),
    ],
)
def test_what_an_engine_cannot_do_is_one_line(monkeypatch, engine, device, words, message):
    monkeypatch.setattr(eval_engine, "has_gpu", lambda: False)
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_engine(configure(engine, *words, device=device))
    check_engine(configure("auto", *words, device=device))


@pytest.mark.parametrize(
    ("engine", "name", "able"),
    [("mindspore", "a.onnx", "auto or onnx or openvino"), ("onnx", "a.mindir", "auto or mindspore")],
)
def test_an_engine_for_another_kind_of_file_is_one_line(engine, name, able):
    message = f"which does not compute {Path(name).suffix} files: use --eval_engine={able} for {name}"
    with pytest.raises(ValueError, match=f"^eval_engine is {engine}, {re.escape(message)}$"):
        check_model_file(configure(engine), Path(name))
    check_model_file(configure("auto"), Path(name))


def test_a_missing_openvino_names_the_command(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    line = "^openvino, which you ask for, is missing: pip install -r requirements-openvino.txt$"
    with pytest.raises(ValueError, match=line):
        check_engine(configure("openvino"))
    with pytest.raises(ValueError, match=line):
        load_openvino(small)


def test_files_that_openvino_cannot_take_are_one_line(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    half = tmp_path / "half.onnx"
    half.write_bytes(small.read_bytes()[:-50])
    with pytest.raises(ValueError, match=rf"^cannot load {half}: it is damaged or no ONNX model; .+$") as caught:
        load_openvino(half)
    assert "\n" not in str(caught.value) and "Exception from" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^no ONNX file .*absent\.onnx: check the path$"):
        load_openvino(tmp_path / "absent.onnx")
    flat = tmp_path / "flat.onnx"
    ms.onnx.export(ms.nn.Dense(27, 3), random_images(0, 5, 27), file_name=str(flat))
    with pytest.raises(ValueError, match=r"flat\.onnx takes f32 \[5,27\] instead of images, f32 \[batch,3,"):
        load_openvino(flat)
