"""The launch scripts: the exact commands that they give."""

from __future__ import annotations

import json
import os
from pathlib import Path

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
            "--resume={work}/my net.ckpt"]),
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


@pytest.mark.parametrize("version", ["2.2.14", "2.7.1"])
def test_an_older_mindspore_starts_by_the_rank_table(bench, version):
    bench.write_table([4, 6])
    words = ["my table.json", "some data", "--seed=3"]
    stale = {"RANK_ID": "5", "MS_ROLE": "MS_WORKER", "RANK_TABLE_FILE": "old"}
    launch = bench.launch("run_distribute_train.sh", *words, **bench.pretend_version(version), **stale)
    assert launch.wait()[0] == 0
    records = bench.records()
    assert len(records) == 2
    for rank, (record, device) in enumerate(zip(records, "46", strict=True)):
        assert record["words"] == [
            TRAIN, "--device_target=Ascend", f"--device_id={device}", "--is_distributed=True",
            f"--train_data_dir={bench.work}/some data", "--seed=3",
        ]  # fmt: skip
        names = ("RANK_ID", "RANK_SIZE", "DEVICE_ID", "RANK_TABLE_FILE", "MS_ROLE")
        found = [record["environment"].get(name) for name in names]
        assert found == [str(rank), "2", device, str(bench.work / "my table.json"), None]
        assert (bench.work / f"train_parallel{rank}" / "log.txt").read_text() == ""


def msrun_options(bench: Bench) -> tuple[dict[str, str], list[str], dict]:
    """Return the options of the recorded msrun, what it starts, and its environment."""
    [record] = bench.records()
    assert record["words"][:2] == ["-m", "mindspore.parallel.cluster.run"]
    words = record["words"][2:]
    start = words.index("python3")
    return dict(word[2:].split("=") for word in words[:start]), words[start:], record["environment"]


def test_a_newer_mindspore_starts_a_rank_table_by_msrun(bench):
    bench.write_table([4, 6])
    launch = bench.launch("run_distribute_train.sh", "my table.json", "some data", FAKE_MSRUN="", RANK_ID="5")
    status, _, errors = launch.wait()
    assert (status, errors) == (1, "error: rank 0 did not start\n")  # the stand-in for msrun starts none
    options, started, environment = msrun_options(bench)
    assert 1024 < int(options.pop("master_port")) < 65536
    assert Path(options.pop("log_dir")).name == "logs"
    assert options == {
        "worker_num": "2", "local_worker_num": "2", "node_rank": "0", "master_addr": "127.0.0.1", "join": "False",
    }  # fmt: skip
    assert started[-5:] == [
        TRAIN, "--device_target=Ascend", "--device_id={device}", "--is_distributed=True",
        f"--train_data_dir={bench.work}/some data",
    ]  # fmt: skip
    assert environment["ASCEND_RT_VISIBLE_DEVICES"] == "4,6"
    assert "RANK_ID" not in environment


def test_each_server_of_a_rank_table_starts_its_ranks(bench):
    bench.write_table([0, 1], [0, 1])
    variables = {"FAKE_MSRUN": "", "SERVER_ID": "10.0.0.2"}
    bench.launch("run_distribute_train.sh", "my table.json", "some data", **variables).wait()
    options = msrun_options(bench)[0]
    names = ("worker_num", "local_worker_num", "node_rank", "master_addr", "master_port")
    assert [options[name] for name in names] == ["4", "2", "1", "10.0.0.1", "8118"]
    assert (bench.work / "train_parallel2" / "log.txt").exists()


@pytest.mark.parametrize("counts", [(2, 1), (1, 2), (2, 1, 3)])
def test_servers_that_msrun_cannot_number_are_refused_on_each_of_them(bench, counts):
    names = [f"10.0.0.{number}" for number in range(1, len(counts) + 1)]
    bench.write_table(*(range(count) for count in counts), names=names)
    for name in names:
        launch = bench.launch("run_distribute_train.sh", "my table.json", "some data", FAKE_MSRUN="", SERVER_ID=name)
        status, _, errors = launch.wait()
        found = ", ".join(f"{name} has {count}" for name, count in zip(names, counts, strict=True))
        message = f"error: msrun needs as many devices on each server of the rank table, but {found}\n"
        assert (status, errors) == (2, message)


def test_ranks_that_alternate_between_servers_are_refused_on_each_of_them(bench):
    bench.write_table([0, 1], [0, 1])
    table = json.loads((bench.work / "my table.json").read_text())
    devices = [device for server in table["server_list"] for device in server["device"]]
    for device, rank in zip(devices, "0213", strict=True):
        device["rank_id"] = rank
    (bench.work / "my table.json").write_text(json.dumps(table))
    for version in ("2.7.0", "2.10.0"):
        for name in ("10.0.0.1", "10.0.0.2"):
            variables = bench.pretend_version(version) | {"FAKE_MSRUN": "", "SERVER_ID": name}
            launch = bench.launch("run_distribute_train.sh", "my table.json", "some data", **variables)
            status, _, errors = launch.wait()
            assert (status, errors.count("\n"), bench.records()) == (2, 1, [])
            assert 'my table.json: server_list[0] ("10.0.0.1"): rank_ids 0, 2 have those of another server' in errors


def test_several_machines_meet_where_the_variables_say(bench):
    variables = {"NODE_NUM": "3", "NODE_RANK": "1", "MASTER_ADDR": "10.9.8.7", "MASTER_PORT": "9000"}
    bench.launch("run_msrun.sh", "GPU", "4", "some data", FAKE_MSRUN="", **variables).wait()
    options = msrun_options(bench)[0]
    names = ("worker_num", "local_worker_num", "node_rank", "master_addr", "master_port")
    assert [options[name] for name in names] == ["12", "4", "1", "10.9.8.7", "9000"]
    assert (bench.work / "train_parallel7" / "log.txt").exists()


def test_gpus_start_by_mpirun_where_it_is_installed(bench):
    bench.write_program("mpirun", MPIRUN)
    path = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
    status, _, errors = bench.launch("run_train_gpu_fp32.sh", "2", "some data", "my net.ckpt", PATH=path).wait()
    assert (status, errors) == (0, "")
    words = (bench.folder / "records" / "mpirun").read_bytes().decode().split("\0")
    assert words[:2] == ["-n", "2"]
    assert ("--allow-run-as-root" in words) == (os.geteuid() == 0)
    records = sorted(bench.records(), key=lambda record: record["environment"]["OMPI_COMM_WORLD_RANK"])
    assert [record["words"] for record in records] == [
        [TRAIN, "--device_target=GPU", f"--device_id={rank}", "--is_distributed=True",
         f"--train_data_dir={bench.work}/some data", "--is_fp32=True", f"--resume={bench.work}/my net.ckpt"]
        for rank in range(2)
    ]  # fmt: skip
    assert all((bench.work / f"train_distribute_gpu_fp32/rank{rank}/log_gpu.txt").exists() for rank in range(2))


@pytest.mark.parametrize("script", ["run_train_gpu_fp16.sh", "run_msrun.sh"])
def test_gpus_start_by_msrun_without_mpirun_or_where_the_script_says_so(bench, script):
    variables = {"FAKE_MSRUN": ""}
    words = ["2", "some data"]
    if script == "run_msrun.sh":
        bench.write_program("mpirun", MPIRUN)
        variables["PATH"] = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
        words = ["GPU", *words]
    bench.launch(script, *words, **variables).wait()
    assert msrun_options(bench)[0]["worker_num"] == "2"
    assert TRAIN in msrun_options(bench)[1]
    assert not (bench.folder / "records" / "mpirun").exists()
    assert "ASCEND_RT_VISIBLE_DEVICES" not in msrun_options(bench)[2]


def test_a_device_target_among_the_options_decides(bench):
    words = ["my table.json", "some data", "--device_target", "CPU"]
    bench.launch("run_distribute_train.sh", *words, FAKE_MSRUN="", **bench.pretend_version("2.7.0")).wait()
    assert msrun_options(bench)[1][-2:] == ["--device_target", "CPU"]
    assert "ASCEND_RT_VISIBLE_DEVICES" not in msrun_options(bench)[2]


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
    environment = bench.pretend_version("2.7.0")
    assert bench.launch("run_distribute_train.sh", f"{name}.json", name, **environment).wait()[0] == 0
    records = bench.records()
    assert len(records) == 3
    assert records[-1]["environment"]["RANK_TABLE_FILE"] == f"{bench.work / name}.json"
    assert records[-1]["words"][-1] == f"--train_data_dir={bench.work / name}"
    assert not list(tmp_path.rglob("pwned"))
