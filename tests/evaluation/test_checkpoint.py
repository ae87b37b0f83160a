"""eval.py finds the same by every engine."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import mindspore as ms
import pytest

import eval as eval_door
from src.cpu.library import build_evaluation_library
from src.evaluation.checkpoint import evaluate_checkpoint
from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import Group
from src.Xception import xception
from tests.helpers.openvino_runtime import stand_in
from tests.helpers.training_run import options

pytestmark = pytest.mark.slow

ENGINES = ("mindspore", "onnx", "openvino", "auto")  # the last one by the operators in C++
RESULT = re.compile(r"^result: (\{.*\}) ckpt= ", re.MULTILINE)


def evaluate(capsys, words: list[str]) -> tuple[int, str, str]:
    status = run_command(eval_door.main, words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_all_engines_give_the_same_result_and_report(trained, few_digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", stand_in())
    checkpoint = trained[0] / "Xception-rank0-2_5.ckpt"
    words = options(few_digits, Path("unused"), f"--checkpoint_path={checkpoint}")
    results, reports = [], []
    for engine in ENGINES:
        folder = tmp_path / engine
        status, out, err = evaluate(capsys, [*words, f"--eval_engine={engine}", f"--eval_report={folder}"])
        assert status == 0, err
        assert "evaluated 37 images, each once" in out
        results.append(ast.literal_eval(RESULT.findall(out)[0]))
        assert f"}} ckpt= {checkpoint}\n" in out
        reports.append((folder / "confusion_matrix.csv").read_text())
    for result, report in zip(results, reports, strict=True):
        assert result == pytest.approx(results[0], rel=1e-5)
        assert report == reports[0]


def test_the_pool_padding_of_the_checkpoint_counts(few_digits, tmp_path):
    network = xception(3, "symmetric")
    ms.save_checkpoint(network, str(tmp_path / "net.ckpt"), append_dict={"pool_padding": "symmetric"})
    found = []
    for engine in ("mindspore", "onnx", "auto"):
        words = options(few_digits, tmp_path, f"--checkpoint_path={tmp_path / 'net.ckpt'}", "--image_size=72")
        config = parse_config([*words, f"--eval_engine={engine}"], lambda _: "CPU")
        found.append(evaluate_checkpoint(config, Group(), build_evaluation_library(config)).result.loss)
    assert found[1:] == pytest.approx([found[0]] * 2, rel=1e-5)
