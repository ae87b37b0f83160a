"""What keeps MindSpore to AVX2 keeps no other engine to it: the oneDNN of OpenVINO reads the same variable."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

import eval as eval_door
import eval_onnx
import predict as predict_door
from src.model_utils.command import run_command
from tests.helpers.openvino_runtime import stand_in

DOORS = [
    (eval_door, ["--checkpoint_path=missing.ckpt", "--test_data_dir=missing"]),
    (eval_onnx, ["--onnx_path=missing.onnx"]),
    (predict_door, ["--checkpoint_path=missing.ckpt", "missing.jpg"]),
    (predict_door, ["--checkpoint_path=missing.onnx", "missing.jpg"]),
]


@pytest.mark.parametrize(("door", "words"), DOORS)
def test_openvino_may_use_all_instructions(door: ModuleType, words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    options = ["--device_target=CPU", "--eval_engine=openvino", "--amp_level=O2"]
    assert run_command(door.main, [*words, *options]) == 1
    assert "missing" in capsys.readouterr().err  # the door has come past the device
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_mindspore_may_not(monkeypatch, capsys):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    words = ["--checkpoint_path=missing.ckpt", "--device_target=CPU", "--eval_engine=mindspore"]
    assert run_command(eval_door.main, words) == 1
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
