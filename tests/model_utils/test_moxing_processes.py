"""On ModelArts: several processes of a job on a server copy once, wait for one another, and survive kills."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from src.model_utils.config import parse_config
from src.model_utils.modelarts_paths import job_name
from tests.helpers.modelarts import content, finish, until, waiting

pytestmark = pytest.mark.slow


def test_of_four_processes_one_copies_in_and_one_copies_out(bench):
    slow, hold = bench.set("slow"), bench.set("hold")
    processes = [bench.start() for _ in range(4)]
    copier = bench.copier()
    waiting([process for process in processes if process.pid != copier])
    slow.unlink()
    until(lambda: bench.begun() == 4)
    hold.unlink()
    assert [finish(process)[0] for process in processes] == [7] * 4
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1
    assert len(content(bench.bucket / "results")) == 4
    assert bench.locks() == []


def test_who_waits_is_told_for_whom(bench):
    bench.set("slow")
    copying = bench.start(JOB_ID="job/17")
    bench.copier()
    line = bench.start(JOB_ID="job/17").stderr.readline()
    pattern = (
        rf"waiting for process {copying.pid} of job job-17-\w{{16}} on \S+, which copies the data since [\d :-]+\n"
    )
    assert re.fullmatch(pattern, line)


def test_a_failed_copier_fails_those_who_wait_with_its_error(bench):
    slow = bench.set("slow")
    bench.set("fail-in", "no access")
    processes = [bench.start() for _ in range(4)]
    copier = bench.copier()
    waiting([process for process in processes if process.pid != copier])
    slow.unlink()
    outcomes = {process.pid: finish(process) for process in processes}
    assert [status for status, _, _ in outcomes.values()] == [1] * 4
    assert outcomes.pop(copier)[2].startswith("error: cannot copy obs://data to ")
    for _, _, errors in outcomes.values():
        assert errors.startswith(f"error: failed in process {copier} of job ")
        assert errors.endswith(": RuntimeError: no access\n")
    assert len(bench.calls()) == 1 and bench.locks() == []
    (bench.bucket / "fail-in").unlink()
    assert finish(bench.start())[0] == 7


def test_when_the_copier_is_killed_one_of_those_who_wait_takes_over(bench):
    """Killed in the middle of a copy, five times, the last one with nobody left."""
    slow = bench.set("slow")
    processes = [bench.start() for _ in range(5)]
    left = {process.pid: process for process in processes}
    for killed in range(1, 6):
        victim = bench.copier(killed)
        os.kill(victim, signal.SIGKILL)
        assert left.pop(victim).wait() == -signal.SIGKILL
        assert not (bench.folder / "cache/data").exists()
    assert len(bench.calls()) == 5 and len(bench.locks()) == 1
    slow.unlink()
    assert finish(bench.start())[0] == 7
    assert len(content(bench.folder / "cache/data")) == 6
    assert [name for name in os.listdir(bench.folder / "cache") if name.startswith(".data")] == []
    assert bench.locks() == []


def test_what_a_dead_job_left_in_its_lock_file_does_not_stop_the_next(bench):
    name = job_name(parse_config(bench.options(), lambda _: "CPU"))
    for text in ("failed in process 1 of this job: no access", "process 1, which copies the data", "\udcff"):
        (bench.temporary / f"xception-{name}.lock").write_text(text, errors="surrogateescape")
        assert finish(bench.start())[0] == 7
        assert bench.locks() == []


def test_children_of_a_killed_copier_do_not_hold_its_lock(bench):
    """moxing copies with processes of its own, which may outlive a killed parent."""
    slow = bench.set("slow")
    victim = bench.start(MOXING_FORKS="1")
    bench.copier()
    children = Path(f"/proc/{victim.pid}/task/{victim.pid}/children")
    until(lambda: children.read_text().strip() != "")
    child = int(children.read_text())
    try:
        victim.kill()
        slow.unlink()
        process = bench.start()
        assert process.wait(timeout=60) == 7
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_who_is_interrupted_while_waiting_ends_at_once(bench):
    slow = bench.set("slow")
    copying = bench.start()
    bench.copier()
    other = bench.start()
    waiting([other])
    other.send_signal(signal.SIGINT)
    assert finish(other)[::2] == (130, "interrupted\n") and copying.poll() is None
    slow.unlink()
    assert finish(copying)[0] == 7
    assert bench.locks() == []


def test_a_wait_has_a_limit_that_names_owner_and_lock(bench):
    bench.set("slow")
    copying = bench.start()
    bench.copier()
    status, _, errors = finish(bench.start(wait_limit=0.3))
    assert status == 1
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: waited 0.3 s for process {copying.pid} of job local-")
    assert f"(lock file {bench.temporary}/xception-local-" in last
    (bench.bucket / "slow").unlink()
    assert finish(copying)[0] == 7


def test_a_process_that_fails_copies_out_at_once_and_the_last_one_the_rest(bench):
    hold = bench.set("hold")
    other = bench.start()
    until(lambda: bench.begun() == 1)
    assert finish(bench.start(ending="raise ValueError('no memory')"))[0] == 1
    assert len(content(bench.bucket / "results")) == 1 and other.poll() is None
    hold.unlink()
    assert finish(other)[0] == 7
    assert len(content(bench.bucket / "results")) == 2
    assert bench.locks() == []


def test_two_jobs_on_a_server_neither_wait_for_nor_disturb_each_other(bench):
    slow = bench.set("slow")
    first = bench.start(JOB_ID="one")
    bench.copier()
    folder = bench.folder / "other"
    (bench.bucket / "other").mkdir()
    paths = {key: folder / key for key in ("data_path", "load_path", "output_path")}
    second = bench.start(bench.options(**paths, train_url="obs://other"), JOB_ID="two", wait_limit=0)
    bench.copier(2)
    assert len(bench.locks()) == 2
    first.kill()
    slow.unlink()
    assert finish(second)[0] == 7
    assert len(content(folder / "data_path")) == 6 and len(content(bench.bucket / "other")) == 1


def test_the_coordinator_of_msrun_waits_for_the_data_but_copies_nothing_out(bench):
    slow, hold = bench.set("slow"), bench.set("hold")
    coordinator = bench.start(MS_ROLE="MS_SCHED")
    bench.copier()
    worker = bench.start(ending="pass", MS_ROLE="MS_WORKER")
    waiting([worker])
    slow.unlink()
    assert finish(worker)[0] == 7 and coordinator.poll() is None
    assert [int(call.split()[0]) for call in bench.calls("out")] == [worker.pid]
    hold.unlink()
    assert finish(coordinator)[0] == 7
    assert len(bench.calls("in")) == 3 and len(bench.calls("out")) == 1
