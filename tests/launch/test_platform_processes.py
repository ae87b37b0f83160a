"""Doors that a platform has started, as processes: one for each card, or one that starts the ranks of its server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from src.launch.platform import launcher_words
from tests.helpers.launching import Bench, wait_until
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

BESIDE = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from src.launch.scheduler import go_on_beside_scheduler
os.environ["MS_ROLE"] = "MS_WORKER"
go_on_beside_scheduler()
role = os.environ["MS_ROLE"]
Path(role + ".part").write_text(str(os.getpid()))
os.rename(role + ".part", role)
{act}
"""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def beside(tmp_path):
    """A function that starts a program whose rank and scheduler do something; they are gone afterwards."""
    started = []

    def start(act: str, folder: Path = tmp_path) -> subprocess.Popen:
        folder.mkdir(exist_ok=True)
        code = BESIDE.format(root=str(ROOT), act=act)
        errors = (folder / "errors").open("w")
        with errors:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", code], cwd=folder, env={**os.environ, "MS_SCHED_PORT": "8118"}, stderr=errors
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def is_alive(path: Path) -> bool:
    """Tell whether the process whose id is in a file still runs."""
    return Path(f"/proc/{path.read_text()}").exists()


def test_two_processes_of_a_platform_make_a_group(tmp_path):
    environment = {**os.environ, "MASTER_PORT": free_port(), "RANK_SIZE": "2", "MA_NUM_GPUS": "2", "GLOG_v": "3"}
    words = [sys.executable, str(ROOT / "tests/helpers/platform_rank.py"), str(tmp_path)]
    words += ["--is_distributed=True", "--device_target=CPU"]
    processes = [
        subprocess.Popen(words, env={**environment, "RANK_ID": rank, "DEVICE_ID": rank}, cwd=tmp_path)
        for rank in ("0", "1")
    ]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "0": "0 of 2, sum 11", "1": "1 of 2, sum 11",
    }  # fmt: skip


@pytest.mark.parametrize(("act", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_rank_beside_a_scheduler_gives_the_status_and_ends_it_when_it_fails(beside, tmp_path, act, status):
    wait = "if role == 'MS_SCHED': time.sleep(60)\nwhile not os.path.exists('MS_SCHED'): time.sleep(0.01)\n"
    assert beside(wait + act).wait(timeout=30) == status
    assert not is_alive(tmp_path / "MS_SCHED")


def test_after_a_good_end_the_scheduler_has_its_time(beside, tmp_path):
    assert beside("if role == 'MS_SCHED': time.sleep(1); Path('ended').touch()").wait(timeout=30) == 0
    assert (tmp_path / "ended").exists()


def test_a_signal_ends_the_wait_for_the_scheduler(beside, tmp_path):
    process = beside("if role == 'MS_SCHED': time.sleep(60)")
    wait_until(lambda: (tmp_path / "MS_WORKER").exists() and not is_alive(tmp_path / "MS_WORKER"))
    wait_until(lambda: (tmp_path / "MS_SCHED").exists())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert not is_alive(tmp_path / "MS_SCHED")


def test_a_scheduler_that_cannot_work_is_told_and_ends_the_rank(beside, tmp_path):
    process = beside("sys.exit(1) if role == 'MS_SCHED' else time.sleep(60)")
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    line = "error: the scheduler where the ranks meet ended with status 1; is its port, 8118, in use?"
    assert line in (tmp_path / "errors").read_text()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_signals_reach_the_rank_and_a_killed_parent_leaves_nobody(beside, tmp_path, number, status):
    process = beside("time.sleep(60)")
    files = [tmp_path / name for name in ("MS_SCHED", "MS_WORKER")]
    wait_until(lambda: all(file.exists() for file in files))
    process.send_signal(number)
    assert process.wait(timeout=30) == status
    wait_until(lambda: not any(is_alive(file) for file in files))


def ranks_of(bench: Bench) -> list[dict]:
    """Return what the stand-in has recorded of ranks, in their order."""
    return [record for record in bench.records() if record["environment"]["MS_ROLE"] == "MS_WORKER"]


def cluster(record: dict) -> list[str]:
    """Return what a rank was told of its place."""
    names = ("MS_NODE_ID", "RANK_ID", "MS_WORKER_NUM", "MS_SCHED_HOST")
    return [record["environment"][name] for name in names]


def test_one_process_on_a_server_starts_eight_ranks_with_their_variables(bench, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(bench.folder / "python"))
    variables = {"MA_NUM_GPUS": "8", "MA_NUM_HOSTS": "1", "VC_TASK_INDEX": "0", "VC_WORKER_HOSTS": "job-worker-0"}
    words = launcher_words(ROOT / "train.py", ["--enable_modelarts=True"], "Ascend", variables)
    environment = bench.environment("print('the end of', rank)") | variables
    result = subprocess.run(words, cwd=bench.work, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    ranks = ranks_of(bench)
    assert [cluster(record) for record in ranks] == [[str(rank), str(rank), "8", "127.0.0.1"] for rank in range(8)]
    assert len({record["environment"]["MS_SCHED_PORT"] for record in ranks}) == 1
    for rank, record in enumerate(ranks):
        assert record["words"][0] == str(ROOT / "train.py") and record["cwd"] == str(bench.work)
        own = {"--device_target=Ascend", f"--device_id={rank}", "--is_distributed=True", "--enable_modelarts=True"}
        assert own == set(record["words"][1:])
        assert (bench.work / f"train_parallel{rank}/log.txt").read_text() == f"the end of {rank}\n"
    assert (bench.work / "train_parallel_scheduler/log.txt").exists()
    assert "the end of 0\n" in result.stdout


@pytest.mark.parametrize(
    ("hosts", "places"),
    [
        (
            {"MA_NUM_HOSTS": "2", "VC_TASK_INDEX": "1", "VC_WORKER_HOSTS": "127.0.0.9,10.0.0.2"},
            ("23", "4", "127.0.0.9"),
        ),
        ({"MA_NUM_HOSTS": "1", "VC_TASK_INDEX": "0", "VC_WORKER_HOSTS": "job-worker-0"}, ("01", "2", "127.0.0.1")),
    ],
)
def test_the_script_knows_the_servers_of_the_platform_and_takes_options_in_the_place_of_images(bench, hosts, places):
    assert bench.launch("run_msrun.sh", "Ascend", "2", "--enable_modelarts=True", **hosts).wait()[0] == 0
    ranks, size, host = places
    assert [cluster(record) for record in ranks_of(bench)] == [[rank, rank, size, host] for rank in ranks]
    for record in ranks_of(bench):
        assert record["words"][-1] == "--enable_modelarts=True"
        assert not any(word.startswith("--train_data_dir") for word in record["words"])
