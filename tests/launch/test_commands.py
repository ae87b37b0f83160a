"""The launch scripts: the exact commands that they give."""

from __future__ import annotations

import json
import os

import pytest

from tests.helpers.launching import MPIRUN, Bench
from tests.helpers.project import ROOT

TRAIN, EVAL = str(ROOT / "train.py"), str(ROOT / "eval.py")


@pytest.mark.parametrize(
    ("script", "words", "log", "expected"),
    [
        ("run_standalone_train.sh", ["3", "some data"], "log.txt", [
            TRAIN, "--device_target=Ascend", "--device_id=3", "--train_data_dir={work}/some data"]),
        ("run_eval.sh", ["3", "some data", "my net.ckpt"], "eval.log", [
            EVAL, "--device_target=Ascend", "--device_id=3", "--test_data_dir={work}/some data",
            "--checkpoint_path={work}/my net.ckpt"]),
        ("run_eval_gpu.sh", ["0", "some data", "my net.ckpt"], "eval_gpu.log", [
            EVAL, "--device_target=GPU", "--device_id=0", "--test_data_dir={work}/some data",
            "--checkpoint_path={work}/my net.ckpt"]),
        ("run_eval_onnx.sh", ["some data", "my net.ckpt"], "eval_onnx.log", [
            str(ROOT / "eval_onnx.py"), "--device_target=auto", "--device_id=0", "--test_data_dir={work}/some data",
            "--onnx_path={work}/my net.ckpt"]),
        ("run_train_gpu_fp32.sh", ["1", "some data"], "train_standalone_gpu_fp32/log_gpu.txt", [
            TRAIN, "--device_target=GPU", "--device_id=0", "--train_data_dir={work}/some data", "--is_fp32=True"]),
        ("run_train_gpu_fp16.sh", ["1", "some data", "my net.ckpt"], "train_standalone_gpu_fp16/log_gpu.txt", [
            TRAIN, "--device_target=GPU", "--device_id=0", "--train_data_dir={work}/some data", "--is_fp32=False",
            "--initial_checkpoint={work}/my net.ckpt"]),
        ("run_msrun.sh", ["GPU", "1", "some data"], "train_parallel0/log.txt", [
            TRAIN, "--device_target=GPU", "--device_id=0", "--train_data_dir={work}/some data"]),
    ],
)  # fmt: skip
def test_one_device_is_one_process_with_its_log(bench, script, words, log, expected):
    more = ["--config_path", "my file.yaml", "--seed=3", ""]
    status, output, errors = bench.launch(script, *words, *more, act="print('the end')", RANK_ID="7").wait()
    assert (status, errors) == (0, "")
    [record] = bench.records()
    assert record["words"] == [*(word.format(work=bench.work) for word in expected), *more]
    assert record["cwd"] == str(bench.work)
    assert record["environment"]["RANK_ID"] == "0"
    assert "RANK_SIZE" not in record["environment"]
    assert (bench.work / log).read_text() == "the end\n"
    assert f"log in {bench.work / log}; to follow it: tail -f '{bench.work / log}'" in output.splitlines()[0]
    assert output.splitlines()[1:] == ["the end"]


def test_the_gpu_of_a_single_one_is_that_of_the_variable(bench):
    assert bench.launch("run_train_gpu_fp16.sh", "1", "some data", DEVICE_ID="2").wait()[0] == 0
    assert "--device_id=2" in bench.records()[0]["words"]


CLUSTER = ("MS_ROLE", "MS_WORKER_NUM", "MS_SCHED_HOST", "MS_NODE_ID", "RANK_ID", "RANK_SIZE", "DEVICE_ID")


def cluster(record: dict) -> list[str | None]:
    """Return what a process was told of the dynamic cluster."""
    return [record["environment"].get(name) for name in CLUSTER]


def test_a_rank_table_becomes_the_environment_of_the_dynamic_cluster(bench):
    bench.write_table([4, 6])
    words = ["my table.json", "some data", "--seed=3"]
    stale = {"RANK_ID": "5", "MS_ROLE": "MS_PSERVER", "RANK_TABLE_FILE": "old", "OMPI_COMM_WORLD_RANK": "7"}
    status, output, errors = bench.launch("run_distribute_train.sh", *words, **stale).wait()
    assert (status, errors) == (0, "")
    assert output.startswith("2 of 2 ranks (dynamic cluster), ")
    records, [scheduler] = bench.records(), bench.records(of_scheduler=True)
    for rank, (record, device) in enumerate(zip(records, "46", strict=True)):
        assert record["words"] == [
            TRAIN, "--device_target=Ascend", f"--device_id={device}", "--is_distributed=True",
            f"--train_data_dir={bench.work}/some data", "--seed=3",
        ]  # fmt: skip
        assert cluster(record) == ["MS_WORKER", "2", "127.0.0.1", str(rank), str(rank), "2", device]
        assert "RANK_TABLE_FILE" not in record["environment"]  # MindSpore would try to start by it, and fail
        assert "OMPI_COMM_WORLD_RANK" not in record["environment"]
        assert (bench.work / f"train_parallel{rank}" / "log.txt").read_text() == ""
    assert cluster(scheduler)[:3] == ["MS_SCHED", "2", "127.0.0.1"]
    ports = {record["environment"]["MS_SCHED_PORT"] for record in (*records, scheduler)}
    assert len(ports) == 1
    assert 1024 < int(ports.pop()) < 65536


@pytest.mark.parametrize("counts", [(2, 2), (1, 3)])
def test_each_server_of_a_rank_table_starts_its_ranks(bench, counts):
    bench.write_table(*map(range, counts))
    names = ("MS_WORKER_NUM", "MS_NODE_ID", "DEVICE_ID", "MS_SCHED_HOST", "MS_SCHED_PORT")
    bench.launch(
        "run_distribute_train.sh", "my table.json", "some data", SERVER_ID="10.0.0.2", MASTER_PORT="9000"
    ).wait()
    assert bench.records(of_scheduler=True) == []  # that is the first server's
    found = [[record["environment"][name] for name in names] for record in bench.records()]
    assert found == [["4", str(counts[0] + rank), str(rank), "10.0.0.1", "9000"] for rank in range(counts[1])]
    assert (bench.work / f"train_parallel{counts[0]}" / "log.txt").exists()


def test_ranks_that_alternate_between_servers_are_refused_on_each_of_them(bench):
    bench.write_table([0, 1], [0, 1])
    table = json.loads((bench.work / "my table.json").read_text())
    devices = [device for server in table["server_list"] for device in server["device"]]
    for device, rank in zip(devices, "0213", strict=True):
        device["rank_id"] = rank
    (bench.work / "my table.json").write_text(json.dumps(table))
    for name in ("10.0.0.1", "10.0.0.2"):
        launch = bench.launch("run_distribute_train.sh", "my table.json", "some data", SERVER_ID=name)
        status, _, errors = launch.wait()
        assert (status, errors.count("\n"), bench.records()) == (2, 1, [])
        assert 'my table.json: server_list[0] ("10.0.0.1"): rank_ids 0, 2 have those of another server' in errors


def test_several_machines_meet_where_the_variables_say(bench):
    variables = {"NODE_NUM": "3", "NODE_RANK": "1", "MASTER_ADDR": "10.9.8.7", "MASTER_PORT": "9000"}
    bench.launch("run_msrun.sh", "GPU", "4", "some data", **variables).wait()
    names = ("MS_WORKER_NUM", "MS_NODE_ID", "DEVICE_ID", "MS_SCHED_HOST", "MS_SCHED_PORT")
    found = [[record["environment"][name] for name in names] for record in bench.records()]
    assert found == [["12", str(4 + rank), str(rank), "10.9.8.7", "9000"] for rank in range(4)]
    assert (bench.work / "train_parallel7" / "log.txt").exists()


def test_a_name_of_the_first_machine_becomes_its_address(bench):
    bench.launch("run_msrun.sh", "CPU", "2", "some data", MASTER_ADDR="localhost").wait()
    assert {record["environment"]["MS_SCHED_HOST"] for record in bench.records()} <= {"127.0.0.1", "::1"}
    status, _, errors = bench.launch("run_msrun.sh", "CPU", "2", "some data", MASTER_ADDR="no.such.invalid").wait()
    assert status == 2
    assert errors.startswith("error: no address is known of no.such.invalid, where the ranks are to meet: ")


def test_gpus_start_by_mpirun_where_it_is_installed(bench):
    bench.write_program("mpirun", MPIRUN)
    path = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
    status, _, errors = bench.launch("run_train_gpu_fp32.sh", "2", "some data", "my net.ckpt", PATH=path).wait()
    assert (status, errors) == (0, "")
    words = (bench.folder / "records" / "mpirun").read_bytes().decode().split("\0")
    assert words[:4] == ["-n", "2", "--bind-to", "none"]  # by itself it binds each rank to one core
    assert ("--allow-run-as-root" in words) == (os.geteuid() == 0)
    assert [record["words"] for record in bench.records()] == [
        [TRAIN, "--device_target=GPU", f"--device_id={rank}", "--is_distributed=True",
         f"--train_data_dir={bench.work}/some data", "--is_fp32=True", f"--initial_checkpoint={bench.work}/my net.ckpt"]
        for rank in range(2)
    ]  # fmt: skip
    assert all((bench.work / f"train_distribute_gpu_fp32/rank{rank}/log_gpu.txt").exists() for rank in range(2))


@pytest.mark.parametrize("script", ["run_train_gpu_fp16.sh", "run_msrun.sh"])
def test_gpus_meet_in_the_dynamic_cluster_without_mpirun_or_where_the_script_says_so(bench, script):
    variables = {}
    words = ["2", "some data"]
    if script == "run_msrun.sh":
        bench.write_program("mpirun", MPIRUN)
        variables["PATH"] = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
        words = ["GPU", *words]
    assert bench.launch(script, *words, **variables).wait()[0] == 0
    assert [cluster(record)[0] for record in bench.records()] == ["MS_WORKER"] * 2
    assert not (bench.folder / "records" / "mpirun").exists()


def test_a_device_target_among_the_options_decides(bench):
    variables = {"ASCEND_RT_VISIBLE_DEVICES": "9"}  # says nothing to a CPU
    words = ["my table.json", "some data", "--device_target", "CPU"]
    assert bench.launch("run_distribute_train.sh", *words, **variables).wait()[0] == 0
    assert [record["words"][-2:] for record in bench.records()] == [["--device_target", "CPU"]] * 2


@pytest.mark.parametrize("name", ["-x", "a;touch pwned", 'it\'s "here"', "$(touch pwned)", "{rank} {device}", "a\nb"])
def test_paths_and_options_of_any_spelling_arrive_unchanged(tmp_path, name):
    bench = Bench.make(tmp_path / "outside" / name)
    (bench.work / name).mkdir()
    (bench.work / f"{name}.ckpt").touch()
    bench.write_table([0, 1])
    (bench.work / "my table.json").rename(bench.work / f"{name}.json")
    words = ["0", name, f"{name}.ckpt", "--eval_report", name]
    assert bench.launch("run_eval.sh", *words).wait()[0] == 0
    assert bench.records()[0]["words"][-4:] == [
        f"--test_data_dir={bench.work / name}", f"--checkpoint_path={bench.work / name}.ckpt", "--eval_report", name,
    ]  # fmt: skip
    assert bench.launch("run_distribute_train.sh", f"{name}.json", name).wait()[0] == 0
    records = bench.records()
    assert len(records) == 3
    assert records[-1]["words"][-1] == f"--train_data_dir={bench.work / name}"
    assert not list(tmp_path.rglob("pwned"))
