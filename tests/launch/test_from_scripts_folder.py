"""The scripts are called from the folder scripts/ too, as the model zoo's pages do, and take paths from there."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.launching import Launch
from tests.helpers.project import ROOT

DATA, CHECKPOINT = "../../some data", "../../my net.ckpt"


@pytest.mark.parametrize(
    ("script", "words", "options", "log"),
    [
        ("run_standalone_train.sh", ["0", DATA], ["--train_data_dir="], "log.txt"),
        ("run_train_gpu_fp16.sh", ["1", DATA], ["--train_data_dir="], "train_standalone_gpu_fp16/log_gpu.txt"),
        ("run_train_gpu_fp32.sh", ["1", DATA], ["--train_data_dir="], "train_standalone_gpu_fp32/log_gpu.txt"),
        ("run_eval.sh", ["0", DATA, CHECKPOINT], ["--test_data_dir=", "--checkpoint_path="], "eval.log"),
        ("run_eval_gpu.sh", ["0", DATA, CHECKPOINT], ["--test_data_dir=", "--checkpoint_path="], "eval_gpu.log"),
        ("run_eval_onnx.sh", [DATA, CHECKPOINT], ["--test_data_dir=", "--onnx_path="], "eval_onnx.log"),
    ],
)
def test_relative_paths_count_from_where_the_script_is_called(bench, script, words, options, log):
    scripts = bench.work / "my project" / "scripts"
    for name in ("scripts", "src"):
        shutil.copytree(ROOT / name, scripts.parent / name, ignore=shutil.ignore_patterns("__pycache__", "native"))
    status, _, errors = Launch(["bash", script, *words], scripts, bench.environment()).wait()
    assert (status, errors) == (0, "")
    (record,) = bench.records()
    expected = [
        f"{option}{bench.work / word[6:]}" for option, word in zip(options, words[-len(options) :], strict=True)
    ]
    assert [word for word in record["words"] if word.startswith(tuple(options))] == expected
    assert (scripts / log).is_file()
