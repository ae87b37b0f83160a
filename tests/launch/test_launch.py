"""The launch scripts: logs are kept, and ranks start, end and fail together."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.launching import MPIRUN, Bench, Launch, wait_until
from tests.helpers.project import ROOT

# A rank that saves for a while when it is told to stop, as a training does.
SAVES = """
import signal, time
def save(number, frame):
    time.sleep(2 if rank == "0" else 0)
    open(f"saved {rank}", "w").close()
    os._exit(128 + number)
signal.signal(signal.SIGTERM, save), signal.signal(signal.SIGINT, save)
open(f"ready {rank}", "w").close()
while True: time.sleep(0.1)
"""
STUBBORN = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
open(f"ready {rank}", "w").close()
time.sleep(300)
"""
# What a rank does before it fails, so that the other one listens by then.
WAITS = "    import time\n    while not os.path.exists('ready 0'): time.sleep(0.1)\n"


def are_ready(bench: Bench, count: int = 2):
    return lambda: len(list(bench.work.glob("ready *"))) == count


def by_table(bench: Bench, *words: str, act: str, **variables: str):
    """Start two ranks by a rank table."""
    return bench.launch("run_distribute_train.sh", "my table.json", "some data", *words, act=act, **variables)


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
        cwd=bench.work, env=bench.environment(act), stdout=theirs,
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


def test_a_signal_while_the_ranks_start_ends_them(bench):
    launch = bench.launch("run_msrun.sh", "CPU", "2", "some data", act=SAVES)
    # They are rank_entry for a moment, which a look may miss.
    wait_until(
        lambda: are_ready(bench)() or any(b"rank_entry" in read_command(pid) for pid in launch.processes()), launch
    )
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
    act = f"if rank == '1':\n{WAITS}    print('the reason'); sys.exit(7)\n{SAVES}"
    status, _, errors = by_table(bench, act=act).wait()
    log = bench.work / "train_parallel1" / "log.txt"
    assert status == 7
    assert errors == f"the reason\nerror: rank 1 ended with status 7: above is the end of {log}\n"
    assert (bench.work / "saved 0").exists()  # it was asked, not killed


def test_a_rank_that_does_not_stop_after_anothers_failure_is_killed(bench):
    act = f"if rank == '1':\n{WAITS}    os.kill(os.getpid(), 9)\n{STUBBORN}"
    environment = bench.environment(act)
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


MEETS = """
import socket, time
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
while not os.path.exists("both"): time.sleep(0.1)
"""
LISTENS = """
import socket
with socket.socket() as port:
    port.bind(("127.0.0.1", int(os.environ["MS_SCHED_PORT"])))
    port.listen()
    for _ in range(2): port.accept()
"""


def test_two_runs_at_once_meet_at_ports_of_their_own(tmp_path):
    benches = [Bench.make(tmp_path / name) for name in ("one", "two")]
    words = ("run_msrun.sh", "CPU", "2", "some data")
    launches = [bench.launch(*words, act=MEETS, SCHEDULER_ACT=LISTENS) for bench in benches]
    for bench, launch in zip(benches, launches, strict=True):
        wait_until(are_ready(bench), launch)
    for bench in benches:
        (bench.work / "both").touch()  # not before all four ranks have met theirs
    assert [launch.wait()[0] for launch in launches] == [0, 0]
    ports = [{record["environment"]["MS_SCHED_PORT"] for record in bench.records()} for bench in benches]
    assert [len(found) for found in ports] == [1, 1]
    assert ports[0] != ports[1]


def test_a_scheduler_that_fails_ends_the_run_and_is_named(bench):
    failing = "sys.exit('the port is taken')"
    status, _, errors = by_table(bench, act=SAVES, SCHEDULER_ACT=failing).wait()
    log = bench.work / "train_parallel_scheduler" / "log.txt"
    end = f"the port is taken\nerror: scheduler ended with status 1: above is the end of {log}\n"
    assert (status, errors) == (1, end)
