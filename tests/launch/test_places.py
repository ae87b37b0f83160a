"""The launch scripts: which device and which cores each rank gets."""

from __future__ import annotations

import os
import re

import pytest

from src.launch.cores import divide_cores
from tests.helpers.launching import MPIRUN
from tests.helpers.project import ROOT

EVAL = str(ROOT / "eval.py")


def devices(records: list[dict]) -> list[str]:
    """Return the device that each rank was given."""
    return [word.partition("=")[2] for each in records for word in each["words"] if word.startswith("--device_id=")]


@pytest.mark.parametrize(
    ("words", "variable", "value", "expected"),
    [
        (["run_msrun.sh", "Ascend", "1"], "ASCEND_RT_VISIBLE_DEVICES", "6,7", "0"),
        (["run_msrun.sh", "Ascend", "2"], "ASCEND_RT_VISIBLE_DEVICES", "6,7", "01"),
        (["run_msrun.sh", "Ascend", "8"], "ASCEND_RT_VISIBLE_DEVICES", "8,9,10,11,12,13,14,15", "01234567"),
        (["run_msrun.sh", "GPU", "2"], "CUDA_VISIBLE_DEVICES", "7,GPU-8932f937,-1,3", "01"),
        (["run_standalone_train.sh", "1"], "ASCEND_RT_VISIBLE_DEVICES", "6,7", "1"),
        (["run_train_gpu_fp16.sh", "1"], "CUDA_VISIBLE_DEVICES", "6", "0"),
        (["run_train_gpu_fp32.sh", "8"], "CUDA_VISIBLE_DEVICES", "8,9,10,11,12,13,14,15", "01234567"),
    ],
)
def test_ranks_count_devices_within_what_the_user_made_visible(bench, words, variable, value, *, expected):
    """The driver counts from 0 among these too: the ranks get the variable as it is."""
    bench.write_program("mpirun", MPIRUN)
    path = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
    status, output, errors = bench.launch(*words, "some data", PATH=path, **{variable: value}).wait()
    assert (status, errors) == (0, "")
    assert devices(bench.records()) == list(expected)
    assert {record["environment"][variable] for record in bench.records()} == {value}
    assert [record["environment"]["DEVICE_ID"] for record in bench.records()] == list(expected)
    assert f" of {variable}, " in output.splitlines()[0]


@pytest.mark.parametrize(
    ("table", "expected", "named"),
    [([0, 1], "01", "6, 7"), ([1, 0], "10", "7, 6"), ([6, 7], "01", "6, 7"), ([7, 6], "10", "7, 6")],
)
def test_a_rank_table_counts_within_what_is_visible_or_names_devices_of_it(bench, table, expected, named):
    bench.write_table(table)
    variables = {"ASCEND_RT_VISIBLE_DEVICES": "6,7"}
    status, output, errors = bench.launch("run_distribute_train.sh", "my table.json", "some data", **variables).wait()
    assert (status, errors) == (0, "")
    assert f" on Ascend {named} of ASCEND_RT_VISIBLE_DEVICES, " in output
    assert devices(bench.records()) == list(expected)


def test_a_device_that_is_not_visible_starts_nothing(bench):
    bench.write_table([5, 6])
    for words in (["run_msrun.sh", "Ascend", "3"], ["run_distribute_train.sh", "my table.json"]):
        variables = {"ASCEND_RT_VISIBLE_DEVICES": "6,7"}
        status, output, errors = bench.launch(*words, "some data", **variables).wait()
        assert (status, output, bench.records()) == (2, "", [])
        assert errors.startswith("error: ASCEND_RT_VISIBLE_DEVICES=6,7 shows 2 Ascend devices, ")


@pytest.mark.parametrize(
    ("words", "own", "told"),
    [
        (["run_msrun.sh", "Ascend", "2"], "5", "those of this run are 0, 1"),
        (["run_msrun.sh", "Ascend", "1"], "5", "that of this run is 0"),
        (["run_train_gpu_fp16.sh", "2"], "5", "those of this run are 0, 1"),
        (["run_distribute_train.sh", "my table.json"], "0", "those of this run are 0, 1"),
        (["run_standalone_train.sh", "3"], "5", "that of this run is 3"),
        (["run_standalone_train.sh", "3"], "3", ""),
        (["run_train_gpu_fp16.sh", "1"], "5", ""),
    ],
)
def test_a_variable_that_names_another_device_is_told_to_have_no_effect(bench, words, own, told):
    status, _, errors = bench.launch(*words, "some data", DEVICE_ID=own).wait()
    line = f"the variable DEVICE_ID={own} has no effect: {told}\n" if told else ""
    assert (status, errors) == (0, line)


# Evaluation on several devices


@pytest.mark.parametrize("script", ["run_eval.sh", "run_eval_gpu.sh"])
def test_an_evaluation_takes_devices_from_the_given_one_on(bench, script):
    bench.write_program("mpirun", MPIRUN)
    path = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
    launch = bench.launch(script, "2", "some data", "my net.ckpt", PATH=path, DEVICE_NUM="3")
    assert launch.wait()[::2] == (0, "")
    records = bench.records()
    assert devices(records) == ["2", "3", "4"]
    assert all(record["words"][0] == EVAL and "--is_distributed=True" in record["words"] for record in records)
    log = "eval.log" if script == "run_eval.sh" else "eval_gpu.log"
    assert all((bench.work / f"eval_parallel{rank}" / log).exists() for rank in range(3))


# Cores


def test_each_rank_keeps_to_its_share_of_the_cores_where_they_divide_evenly(bench):
    mine = os.sched_getaffinity(0)
    ranks = len(mine) if len(mine) in (2, 4) else 2
    parts = divide_cores(mine, ranks)
    status, output, _ = bench.launch("run_msrun.sh", "CPU", str(ranks), "some data").wait()
    assert status == 0
    assert [record["processors"] for record in bench.records()] == (parts or [sorted(mine)] * ranks)
    assert bench.records(of_scheduler=True)[0]["processors"] == sorted(mine)
    assert bool(re.search(r"\d processors? each \(BIND_CORE\)", output)) == (parts is not None)


def test_ranks_share_all_cores_where_a_person_says_so(bench):
    assert bench.launch("run_msrun.sh", "CPU", "2", "some data", BIND_CORE="False").wait()[0] == 0
    assert [record["processors"] for record in bench.records()] == [sorted(os.sched_getaffinity(0))] * 2
    status, _, errors = bench.launch("run_msrun.sh", "CPU", "2", "some data", BIND_CORE="yes").wait()
    assert (status, errors) == (2, "error: BIND_CORE must be auto, True or False: yes\n")
