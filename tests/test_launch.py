"""The launch scripts: the commands they give, and that ranks start, end and fail together."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.launch.start_up import Group, choose_way
from tests.conftest import ROOT
from tests.launching import MPIRUN, Bench, Launch, wait_until

TRAIN, EVAL = str(ROOT / "train.py"), str(ROOT / "eval.py")
SCRIPTS = {
    "run_standalone_train.sh": ["0", "some data"],
    "run_distribute_train.sh": ["my table.json", "some data"],
    "run_train_gpu_fp32.sh": ["1", "some data"],
    "run_train_gpu_fp16.sh": ["1", "some data"],
    "run_msrun.sh": ["CPU", "1", "some data"],
    "run_eval.sh": ["0", "some data", "my net.ckpt"],
    "run_eval_gpu.sh": ["0", "some data", "my net.ckpt"],
}
# A rank that saves for a while when it is told to stop, as a training does.
SAVES = """
import signal, time
def save(number, frame):
    time.sleep(2 if rank == "0" else 0)
    open(f"saved {rank}", "w").close()
    os._exit(128 + number)
signal.signal(signal.SIGTERM, save), signal.signal(signal.SIGINT, save)
open(f"ready {rank}", "w").close()
while not is_scheduler: time.sleep(0.1)
"""
STUBBORN = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
open(f"ready {rank}", "w").close()
time.sleep(300)
"""


@pytest.fixture
def bench(tmp_path) -> Bench:
    bench = Bench.make(tmp_path)
    bench.write_table([0, 1])
    return bench


def are_ready(bench: Bench, count: int = 2):
    return lambda: len(list(bench.work.glob("ready *"))) == count


def by_table(bench: Bench, *words: str, act: str, **variables: str):
    """Start two ranks by a rank table: the quickest way."""
    environment = bench.pretend_version("2.7.0") | variables
    return bench.launch("run_distribute_train.sh", "my table.json", "some data", *words, act=act, **environment)


# Usage


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_no_error(bench, script):
    for words in (["--help"], [*SCRIPTS[script], "-h"]):
        status, output, errors = bench.launch(script, *words).wait()
        assert (status, errors) == (0, "")
        assert output.startswith(f"usage: bash scripts/{script} ")


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
    status, output, errors = by_table(bench, act="").wait()
    assert (status, output, bench.records()) == (2, "", [])
    table = bench.work / "my table.json"
    assert errors == f'error: rank table {table}: server_list[0] ("10.0.0.1"): device_id 0 is there twice\n'


# The commands


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


def test_servers_that_msrun_cannot_number_are_refused(bench):
    bench.write_table([0, 1], [0])
    variables = {"FAKE_MSRUN": "", "SERVER_ID": "10.0.0.2"}
    status, _, errors = bench.launch("run_distribute_train.sh", "my table.json", "some data", **variables).wait()
    assert status == 2
    assert "server 1, with 1 devices from rank 2" in errors


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


@pytest.mark.parametrize(
    ("device", "size", "table", "version", "has_mpirun", "way"),
    [
        ("Ascend", 1, "t", (2, 7), True, "single"),
        ("Ascend", 8, "t", (2, 7), True, "table"),
        ("Ascend", 8, "t", (1, 9), True, "table"),
        ("Ascend", 8, "t", (2, 8), True, "msrun"),
        ("Ascend", 8, "t", (2, 10), False, "msrun"),
        ("Ascend", 8, "", (2, 7), True, "msrun"),
        ("GPU", 8, "", (2, 10), True, "mpirun"),
        ("GPU", 8, "", (2, 10), False, "msrun"),
        ("CPU", 2, "t", (2, 7), True, "msrun"),
    ],
)
def test_the_way_to_start_depends_on_device_version_and_what_is_installed(
    device, size, table, version, has_mpirun, way
):
    group = Group(size, tuple(range(size)), rank_table=table)
    assert choose_way(device, group, version, has_mpirun) == way


def test_gpus_of_several_machines_start_by_msrun():
    assert choose_way("GPU", Group(8, (0, 1, 2, 3)), (2, 10), True) == "msrun"


def test_a_device_target_among_the_options_decides(bench):
    bench.launch(
        "run_distribute_train.sh", "my table.json", "some data", "--device_target", "CPU", FAKE_MSRUN="",
        **bench.pretend_version("2.7.0"),
    ).wait()  # fmt: skip
    assert msrun_options(bench)[1][-2:] == ["--device_target", "CPU"]
    assert "ASCEND_RT_VISIBLE_DEVICES" not in msrun_options(bench)[2]


@pytest.mark.parametrize("name", ["-x", "a;touch pwned", 'it\'s "here"', "$(touch pwned)", "{rank} {device}", "a\nb"])
def test_paths_and_options_of_any_spelling_arrive_unchanged(tmp_path, name):
    bench = Bench.make(tmp_path / "outside" / name)
    (bench.work / name).mkdir()
    (bench.work / f"{name}.ckpt").touch()
    bench.write_table([0, 1])
    (bench.work / "my table.json").rename(bench.work / f"{name}.json")
    assert bench.launch("run_eval.sh", "0", name, f"{name}.ckpt", "--eval_report", name).wait()[0] == 0
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


# Logs


def test_earlier_logs_are_moved_aside(bench):
    assert by_table(bench, act="print('first')").wait()[0] == 0
    status, output, _ = by_table(bench, act="print('second')").wait()
    assert status == 0
    for rank in range(2):
        folder = bench.work / f"train_parallel{rank}"
        assert (folder / "log.txt").read_text() == "second\n"
        assert (folder / "earlier-1" / "log.txt").read_text() == "first\n"
        assert f"moved log.txt of an earlier run to {folder}/earlier-1" in output.splitlines()


def test_a_second_run_from_the_same_folder_is_refused_until_the_first_has_ended(bench):
    first = by_table(bench, act=SAVES)
    wait_until(are_ready(bench), first)
    status, output, errors = by_table(bench, act="").wait()
    log = bench.work / "train_parallel0" / "log.txt"
    assert (status, output) == (2, "")
    assert errors == f"error: {log} belongs to a run that goes on: start this one from another folder\n"
    assert bench.launch("run_eval.sh", "0", "some data", "my net.ckpt").wait()[0] == 0
    first.process.kill()  # leaves no lock behind
    wait_until(lambda: not first.processes())
    assert by_table(bench, act="").wait()[0] == 0


def test_a_terminal_shows_the_log_of_the_first_rank_while_it_grows(bench):
    ours, theirs = pty.openpty()
    act = "import time; print(f'hello from {rank}', flush=True); open(f'ready {rank}', 'w'); time.sleep(300)"
    process = subprocess.Popen(
        ["bash", ROOT / "scripts" / "run_distribute_train.sh", "my table.json", "some data"],
        cwd=bench.work, env=bench.environment(act) | bench.pretend_version("2.7.0"), stdout=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"hello from 0" not in seen:
        seen += os.read(ours, 1000)
    assert b"hello from 1" not in seen
    process.terminate()
    assert process.wait() == 143
    os.close(ours)


# Ending together


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_reaches_every_rank_and_none_is_killed_while_it_saves(bench, number, status):
    launch = by_table(bench, act=SAVES)
    wait_until(are_ready(bench), launch)
    launch.process.send_signal(number)
    found, output, errors = launch.wait()
    assert (found, errors) == (status, f"ended after {number.name}\n")
    assert f"{number.name}: passed on to 2 processes" in output
    assert sorted(path.name for path in bench.work.glob("saved *")) == ["saved 0", "saved 1"]


def test_ranks_of_msrun_save_too_when_one_has_ended_before(bench):
    launch = bench.launch("run_msrun.sh", "CPU", "2", "some data", act=SAVES)
    wait_until(are_ready(bench), launch)
    launch.process.terminate()
    status, _, errors = launch.wait()
    assert (status, errors) == (143, "ended after SIGTERM\n")
    assert sorted(path.name for path in bench.work.glob("saved *")) == ["saved 0", "saved 1"]


def test_a_signal_while_msrun_starts_ends_it(bench):
    launch = bench.launch("run_msrun.sh", "CPU", "2", "some data", act=SAVES)
    wait_until(lambda: b"cluster.run" in b"".join(read_command(pid) for pid in launch.processes()), launch)
    launch.process.terminate()
    assert launch.wait()[0] == 143


def read_command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_second_signal_kills(bench):
    launch = by_table(bench, act=STUBBORN)
    wait_until(are_ready(bench), launch)
    launch.process.terminate()
    # Until the time within which a signal counts as the same has passed, a repeated one does nothing.
    while launch.process.poll() is None:
        launch.process.terminate()
        try:
            launch.process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    status, output, errors = launch.wait()
    assert (status, errors) == (143, "ended after SIGTERM\n")
    assert "killing the processes that have not ended" in output


def test_a_signal_that_comes_twice_at_once_is_one(bench):
    launch = by_table(bench, act=SAVES)
    wait_until(are_ready(bench), launch)
    for _ in range(5):
        launch.process.terminate()
    assert launch.wait()[0] == 143
    assert len(list(bench.work.glob("saved *"))) == 2


def test_a_rank_that_fails_stops_the_others_and_its_log_is_shown(bench):
    act = "if rank == '1':\n    print('the reason'); sys.exit(7)\n" + SAVES
    status, _, errors = by_table(bench, act=act).wait()
    log = bench.work / "train_parallel1" / "log.txt"
    assert status == 7
    assert errors == f"the reason\nerror: rank 1 ended with status 7: above is the end of {log}\n"
    assert (bench.work / "saved 0").exists()  # it was asked, not killed


def test_a_rank_that_does_not_stop_after_anothers_failure_is_killed(bench):
    act = f"if rank == '1': os.kill(os.getpid(), 9)\n{STUBBORN}"
    environment = bench.environment(act) | bench.pretend_version("2.7.0")
    words = ["--door=train.py", "--device_target=Ascend", "--rank_table=my table.json", "--log=log{rank}.txt"]
    program = [sys.executable, str(ROOT / "scripts" / "launch.py"), f"--python={bench.folder}/python"]
    launch = Launch([*program, *words, "--stop_seconds=1"], bench.work, environment)
    status, output, errors = launch.wait()
    assert (status, errors) == (137, "error: rank 1 was killed by signal 9 (SIGKILL)\n")
    assert "killing the processes that have not ended" in output


def test_a_failure_after_a_signal_is_no_success(bench):
    act = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('disk full'))\n"
    act += "open(f'ready {rank}', 'w')\ntime.sleep(300)"
    launch = by_table(bench, act=act)
    wait_until(are_ready(bench), launch)
    launch.process.terminate()
    status, _, errors = launch.wait()
    assert status == 1
    assert errors.startswith("disk full\nerror: rank ")


def test_a_rank_killed_below_mpirun_fails_the_run(bench):
    bench.write_program("mpirun", MPIRUN)
    path = f"{bench.folder}{os.pathsep}{os.environ['PATH']}"
    act = "if os.environ['OMPI_COMM_WORLD_RANK'] == '1': sys.exit(9)\nimport time; time.sleep(300)"
    status, _, errors = bench.launch("run_train_gpu_fp32.sh", "2", "some data", act=act, PATH=path).wait()
    assert status == 9
    assert errors.endswith("error: mpirun ended with status 9\n")


def test_processes_that_ranks_leave_behind_are_ended(bench):
    act = (
        "import subprocess\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "subprocess.Popen(['sh', '-c', 'setsid sleep 300 & sleep 0.1'])\n"
    )
    assert by_table(bench, act=act).wait()[0] == 0


def test_ranks_end_with_a_killed_launcher(bench):
    launch = by_table(bench, act=SAVES)
    wait_until(are_ready(bench), launch)
    launch.process.kill()
    wait_until(lambda: not launch.processes())
    assert len(list(bench.work.glob("saved *"))) == 2


def test_two_runs_at_once_meet_at_ports_of_their_own(tmp_path):
    act = """
import socket, time
if is_scheduler:
    with socket.socket() as port:
        port.bind(("127.0.0.1", int(os.environ["MS_SCHED_PORT"])))
        port.listen()
        for _ in range(2): port.accept()
else:
    for _ in range(100):
        time.sleep(0.1)
        try:
            socket.create_connection(("127.0.0.1", int(os.environ["MS_SCHED_PORT"])))
        except ConnectionRefusedError:
            continue
        break
    else:
        sys.exit("nobody there")
    open(f"ready {rank}", "w").close()
    while len([name for name in os.listdir("..") if os.path.exists(f"../{name}/both")]) < 1: time.sleep(0.1)
"""
    benches = [Bench.make(tmp_path / name) for name in ("one", "two")]
    launches = [bench.launch("run_msrun.sh", "CPU", "2", "some data", act=act) for bench in benches]
    for bench, launch in zip(benches, launches, strict=True):
        wait_until(are_ready(bench), launch)
    for bench in benches:
        (bench.work / "both").touch()  # not before all four ranks have met theirs
    assert [launch.wait()[0] for launch in launches] == [0, 0]
    ports = [{record["environment"]["MS_SCHED_PORT"] for record in bench.records()} for bench in benches]
    assert [len(found) for found in ports] == [1, 1]
    assert ports[0] != ports[1]
