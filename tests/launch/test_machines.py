"""Several machines, as network namespaces: one that stops answering is named, and no other."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.helpers.launching import Launch, wait_until
from tests.helpers.namespaces import Network, network
from tests.helpers.project import ROOT

# Ends sooner than MindSpore does by itself after the last answer.
SOON = {"MS_CPU_COMM_OP_TIMEOUT": "10", "MS_HEARTBEAT_RETRY_TIMEOUT": "5", "MS_RECEIVE_MSG_TIMEOUT": "5"}
LISTENS = """
import socket, sys
server = socket.create_server(("", 9000))
print("ready", flush=True)
found = [server.accept() for _ in range(int(sys.argv[1]))]
sys.stdin.read()
"""
CONNECTS = """
import socket, sys
found = [socket.create_connection((address, 9000)) for address in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.read()
"""
# Looks at the process whose number it gets, and asks when it is told to.
ASKS = """
import json, sys
from src.launch.machines import OtherMachines
machines = OtherMachines(None)
machines.note([int(sys.argv[1])])
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(sorted(machines.silent())))
"""


class Programs:
    """Python programs on the machines of a network, which say when they are ready."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self.started: list[subprocess.Popen] = []

    def start(self, number: int, code: str, *words: str) -> subprocess.Popen:
        command = [*self._net.on(number), sys.executable, "-c", code, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
        self.started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process


@pytest.fixture(scope="module")
def three():
    with network(3) as net:
        yield net


@pytest.fixture
def programs(three):
    programs = Programs(three)
    yield programs
    for process in programs.started:
        process.kill()
        process.communicate()


def test_machines_whose_processes_have_ended_are_not_named(three, programs):
    others = [programs.start(number, LISTENS, "1") for number in (1, 2)]
    calling = programs.start(0, CONNECTS, "10.77.0.2", "10.77.0.3")
    asking = programs.start(0, ASKS, str(calling.pid))
    for other in others:
        other.kill()
        other.wait()
    assert asking.communicate("\n", timeout=60)[0].strip() == "[]"


def test_a_machine_that_was_cut_off_is_named_whoever_had_called_whom(three, programs):
    listening = programs.start(0, LISTENS, "2")
    for number in (1, 2):
        programs.start(number, LISTENS, "1")
        programs.start(number, CONNECTS, "10.77.0.1")
    calling = programs.start(0, CONNECTS, "10.77.0.2", "10.77.0.3")
    asking = [programs.start(0, ASKS, str(each.pid)) for each in (calling, listening)]
    three.cut(2)
    for each in asking:
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.communicate(timeout=60)[0].strip() for each in asking] == ['["10.77.0.3"]'] * 2


@pytest.mark.slow
def test_a_cut_cable_ends_both_machines_with_one_line_that_names_the_other(tmp_path):
    with network(2) as net:
        launches = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            words = [
                *net.on(number), sys.executable, str(ROOT / "scripts/launch.py"), f"--python={sys.executable}",
                f"--door={ROOT / 'tests/helpers/add_for_ever.py'}", "--device_target=CPU",
                "--node_num=2", f"--node_rank={number}", "--master_addr=10.77.0.1", "--log=log{rank}.txt",
            ]  # fmt: skip
            launches.append(Launch(words, folder, {**os.environ, **SOON}))
        logs = [tmp_path / str(number) / f"log{number}.txt" for number in range(2)]
        for log, launch in zip(logs, launches, strict=True):
            wait_until(lambda log=log: log.exists() and log.read_text().count("sum 3\n") > 30, launch)
        net.cut(1)
        for number, (log, launch) in enumerate(zip(logs, launches, strict=True)):
            status, _, errors = launch.wait()
            assert status in (1, 143)
            line = (
                rf"error: machine 10\.77\.0\.{2 - number} \([a-z ]+\) does not answer, so rank {number} [^:]+: "
                rf"see to the machine or the network, then start all again; the log is {re.escape(str(log))}\n"
            )
            assert re.fullmatch(line, errors)
            assert "Call Stack" not in log.read_text()
