"""The launcher is killed, or loses its terminal: the ranks are asked to end, and none is left that does not."""

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

# A rank that cannot act on a signal, as in a call of a library that never returns.
DEAF = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
open(f"ready {os.getpid()}", "w").close()
time.sleep(300)
"""
SAVES = """
import signal, time
def save(number, frame):
    time.sleep(1)
    open(f"saved {rank}", "w").close()
    os._exit(128 + number)
signal.signal(signal.SIGTERM, save)
open(f"ready {rank}", "w").close()
while True: time.sleep(0.1)
"""
STARTS = {
    "dynamic cluster": ["--device_target=Ascend", "--rank_table=my table.json"],
    "mpirun": ["--device_target=GPU", "--device_num=2"],
}


def start(bench: Bench, launcher: str, act: str, seconds: int) -> Launch:
    """Start two ranks that are given some time to end once the launcher is killed."""
    variables = {"PATH": f"{bench.folder}{os.pathsep}{os.environ['PATH']}"}
    bench.write_program("mpirun", MPIRUN)
    program = [sys.executable, str(ROOT / "scripts" / "launch.py"), f"--python={bench.folder}/python"]
    words = [*program, "--door=train.py", "--log=log{rank}.txt", f"--save_seconds={seconds}", *STARTS[launcher]]
    launch = Launch(words, bench.work, bench.environment(act) | variables)
    wait_until(lambda: len(list(bench.work.glob("ready *"))) >= 2, launch)
    return launch


def child(process: int) -> int:
    """Return the process in which the launcher does its work."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


@pytest.mark.parametrize("launcher", STARTS)
@pytest.mark.parametrize("victim", ["first", "second", "group"])
def test_ranks_that_do_not_listen_end_with_a_killed_launcher(bench, launcher, victim):
    launch = start(bench, launcher, DEAF, seconds=1)
    if victim == "group":
        os.killpg(launch.process.pid, signal.SIGKILL)
    else:
        os.kill(launch.process.pid if victim == "first" else child(launch.process.pid), signal.SIGKILL)
    _, errors = launch.process.communicate(timeout=100)
    wait_until(lambda: not launch.processes())
    if victim == "second":
        end = "error: the launcher was killed by signal 9 (SIGKILL): its processes have been ended\n"
        assert (launch.process.returncode, errors) == (137, end)


@pytest.mark.parametrize("launcher", ["dynamic cluster", "mpirun"])
@pytest.mark.parametrize("victim", ["first", "second"])
def test_ranks_save_when_the_launcher_is_killed(bench, launcher, victim):
    launch = start(bench, launcher, SAVES, seconds=60)
    os.kill(launch.process.pid if victim == "first" else child(launch.process.pid), signal.SIGKILL)
    wait_until(lambda: not launch.processes())
    launch.process.communicate()
    assert len(list(bench.work.glob("saved *"))) == 2


@pytest.mark.parametrize("launcher", STARTS)
def test_ranks_save_when_both_processes_of_the_launcher_are_killed_at_once(bench, launcher):
    launch = start(bench, launcher, SAVES, seconds=60)
    for process in (child(launch.process.pid), launch.process.pid):
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: not launch.processes())
    launch.process.communicate()
    assert len(list(bench.work.glob("saved [01]"))) == 2


def test_ranks_save_when_the_terminal_of_the_launcher_is_closed(bench):
    ours, theirs = pty.openpty()
    environment = bench.environment(SAVES)
    words = ["setsid", "--ctty", "bash", ROOT / "scripts" / "run_distribute_train.sh", "my table.json", "some data"]
    process = subprocess.Popen(words, cwd=bench.work, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    wait_until(lambda: len(list(bench.work.glob("ready *"))) == 2)
    os.close(ours)
    assert process.wait(100) == 129
    assert len(list(bench.work.glob("saved *"))) == 2


def test_an_output_that_nobody_reads_does_not_keep_ranks_from_saving(bench):
    environment = bench.environment(SAVES)
    words = ["bash", ROOT / "scripts" / "run_distribute_train.sh", "my table.json", "some data"]
    process = subprocess.Popen(
        words, cwd=bench.work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    wait_until(lambda: len(list(bench.work.glob("ready *"))) == 2)
    process.stdout.close()
    process.stderr.close()
    process.terminate()
    assert process.wait(100) == 143
    assert len(list(bench.work.glob("saved *"))) == 2
