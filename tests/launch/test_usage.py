"""The launch scripts: what they say of themselves, and of a wrong call."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.helpers.project import ROOT

SCRIPTS = {
    "run_standalone_train.sh": ["0", "some data"],
    "run_distribute_train.sh": ["my table.json", "some data"],
    "run_train_gpu_fp32.sh": ["1", "some data"],
    "run_train_gpu_fp16.sh": ["1", "some data"],
    "run_msrun.sh": ["CPU", "1", "some data"],
    "run_eval.sh": ["0", "some data", "my net.ckpt"],
    "run_eval_gpu.sh": ["0", "some data", "my net.ckpt"],
    "run_eval_onnx.sh": ["some data", "my net.ckpt"],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_no_error(bench, script):
    for words in (["--help"], [*SCRIPTS[script], "-h"]):
        status, output, errors = bench.launch(script, *words).wait()
        assert (status, errors) == (0, "")
        assert output.startswith(f"usage: bash scripts/{script} ")


ALL = [*(ROOT / "scripts").glob("run_*.sh"), ROOT / "scripts" / "setup_lite.sh", ROOT / "ascend310_infer" / "build.sh"]


@pytest.mark.parametrize("script", sorted(ALL), ids=lambda path: path.name)
def test_a_script_that_is_called_by_sh_goes_on_in_bash_without_its_posix_mode(tmp_path, script):
    """As the model zoo's pages had it; sh is another shell or bash in that mode, by the system."""
    for shell in (["sh"], ["bash", "--posix"]):
        result = subprocess.run([*shell, script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("usage: bash ")
    assert re.search(r"(?m)^set -Eeuo pipefail \+o posix$", script.read_text())


@pytest.mark.parametrize("script", SCRIPTS)
def test_too_few_arguments_print_the_usage_with_status_2(bench, script):
    status, output, errors = bench.launch(script, *SCRIPTS[script][:-1]).wait()
    assert (status, output) == (2, "")
    assert errors.startswith(f"usage: bash scripts/{script} ")
    assert errors.splitlines()[-1].endswith(" are needed")


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("run_standalone_train.sh", ["one", "some data"], "DEVICE_ID must be a number from 0 on: one"),
        ("run_standalone_train.sh", ["-1", "some data"], "DEVICE_ID must be a number from 0 on: -1"),
        ("run_standalone_train.sh", ["0", "absent"], "DATA_PATH is not a folder that can be read: {work}/absent"),
        ("run_standalone_train.sh", ["0", "some data", "more"], "not an option: more"),
        ("run_distribute_train.sh", ["absent", "some data"], "RANK_TABLE_FILE is not a file that can be read"),
        ("run_train_gpu_fp32.sh", ["0", "some data"], "DEVICE_NUM must be a number from 1 on: 0"),
        ("run_train_gpu_fp16.sh", ["1", "some data", "absent"], "PRETRAINED_CKPT_PATH is not a file that can be read"),
        ("run_train_gpu_fp16.sh", ["1", "some data", "my net.ckpt", "more"], "not an option: more"),
        ("run_msrun.sh", ["cpu", "2", "some data"], "DEVICE_TARGET must be Ascend, GPU or CPU: cpu"),
        ("run_msrun.sh", ["CPU", "02", "some data"], "DEVICE_NUM must be a number from 1 on: 02"),
        ("run_eval.sh", ["0", "some data", "absent"], "PATH_CHECKPOINT is not a file that can be read"),
        ("run_eval_gpu.sh", ["0", "absent", "my net.ckpt"], "DATA_DIR is not a folder that can be read"),
        ("run_eval_onnx.sh", ["some data", "absent"], "ONNX_PATH is not a file that can be read"),
    ],
)
def test_a_wrong_argument_is_named_below_the_usage_and_starts_nothing(bench, script, words, message):
    before = sorted(bench.work.iterdir())
    status, output, errors = bench.launch(script, *words).wait()
    assert (status, output) == (2, "")
    assert errors.startswith(f"usage: bash scripts/{script} ")
    assert errors.splitlines()[-1].startswith("error: " + message.format(work=bench.work))
    assert bench.records() == []
    assert sorted(bench.work.iterdir()) == before


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NODE_NUM": "two"}, "NODE_NUM must be a number from 1 on: two"),
        ({"NODE_NUM": "2", "NODE_RANK": "2"}, "NODE_RANK must be below NODE_NUM, which is 2: 2"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT must be below 65536: 70000"),
    ],
)
def test_a_wrong_variable_is_named(bench, variables, message):
    status, _, errors = bench.launch("run_msrun.sh", "CPU", "2", "some data", **variables).wait()
    assert (status, errors.splitlines()[-1]) == (2, f"error: {message}")


@pytest.mark.parametrize("word", ["--device_id=3", "--is_distributed"])
def test_an_option_that_the_script_sets_is_refused(bench, word):
    status, _, errors = bench.launch("run_standalone_train.sh", "0", "some data", word).wait()
    assert (status, errors) == (2, f"error: {word} cannot be given here: the script sets it\n")


def test_a_wrong_rank_table_is_one_line_and_starts_nothing(bench):
    bench.write_table([0, 0])
    status, output, errors = bench.launch("run_distribute_train.sh", "my table.json", "some data").wait()
    assert (status, output, bench.records()) == (2, "", [])
    table = bench.work / "my table.json"
    assert errors == f'error: rank table {table}: server_list[0] ("10.0.0.1"): device_id 0 is there twice\n'
