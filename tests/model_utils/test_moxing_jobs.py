"""On ModelArts: several jobs on a server that want the same folders share what they can, and are told of the rest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import zipfile

import pytest

from src.modelarts.filled_folder import MARK
from tests.helpers.modelarts import Bench, content, finish, until, waiting

pytestmark = pytest.mark.slow


def own_results(bench: Bench, name: str, **changes: object) -> list[str]:
    """Return the options of a job with results of its own, beside shared data and checkpoints."""
    return bench.options(train_url=f"obs://{name}", output_path=bench.folder / name / "train", **changes)


def left_overs(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.folder / "cache").glob(".*"))


def test_two_jobs_that_want_the_same_data_copy_them_once(bench):
    slow = bench.set("slow")
    first = bench.start(own_results(bench, "one"), JOB_ID="one")
    bench.copier()
    second = bench.start(own_results(bench, "two"), JOB_ID="two")
    line = second.stderr.readline()
    assert line.startswith(f"waiting for process {first.pid} of job one-") and "which fills" in line
    slow.unlink()
    outcomes = [finish(process) for process in (first, second)]
    assert [(status, errors) for status, _, errors in outcomes] == [(7, "")] * 2
    assert f"obs://data is in {bench.folder / 'cache/data'} already" in outcomes[1][1]
    assert [call.split()[1] for call in bench.calls("in")] == ["obs://data", "obs://checkpoints"]
    assert len(content(bench.bucket / "one")) == len(content(bench.bucket / "two")) == 1
    assert left_overs(bench) == [] and bench.locks() == []


@pytest.mark.parametrize("other", ["obs://data/", "obs://checkpoints"])
def test_a_job_whose_lock_is_not_seen_finds_the_data_when_its_own_copy_is_done(bench, other):
    """As in two containers, or where a network disk has no locks."""
    slow = bench.set("slow")
    process = bench.start(own_results(bench, "one"))
    bench.copier()
    data = bench.folder / "cache/data"
    shutil.copytree(bench.bucket / "data", data)
    (data / MARK).write_text(json.dumps({"source": other}))
    slow.unlink()
    status, _, errors = finish(process)
    if other == "obs://data/":
        assert (status, errors) == (7, "")
    else:
        assert status == 1 and f"{data} holds the content of {other}, so obs://data cannot go there" in errors
    assert len(content(data)) == 6 and left_overs(bench) == []


def test_the_half_copy_of_a_killed_job_goes_with_the_next_job_and_that_of_a_living_one_stays(bench):
    slow = bench.set("slow")
    victim = bench.start(own_results(bench, "one"), JOB_ID="one")
    bench.copier()
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    (half,) = (name for name in left_overs(bench) if name.endswith(".tmp"))
    copying = bench.start(own_results(bench, "two"), JOB_ID="two")
    bench.copier(2)
    assert half.startswith(".data.one-")
    assert [name.startswith(".data.two-") for name in left_overs(bench) if name.endswith(".tmp")] == [True]
    # Another one that does not see the lock.
    (bench.folder / "cache/.data.lock").unlink()
    third = bench.start(own_results(bench, "three"), JOB_ID="three")
    bench.copier(3)
    assert sum(name.endswith(".tmp") for name in left_overs(bench)) == 2
    slow.unlink()
    assert [finish(process)[0] for process in (copying, third)] == [7] * 2
    assert len(content(bench.folder / "cache/data")) == 6 and left_overs(bench) == []


def test_a_slash_at_the_end_of_an_address_changes_nothing(bench):
    assert finish(bench.start())[0] == 7
    slashes = {"data_url": "obs://data/", "checkpoint_url": "obs://checkpoints/", "train_url": "obs://results/"}
    status, output, errors = finish(bench.start(bench.options(**slashes)))
    assert (status, errors) == (7, "")
    assert "obs://data/ is in " in output and len(bench.calls("in")) == 3


def test_a_second_job_with_the_same_output_path_is_told_of_the_first(bench):
    hold = bench.set("hold")
    first = [bench.start(JOB_ID="one") for _ in range(2)]
    until(lambda: bench.begun() == 2)
    for options in (bench.options(), bench.options(train_url="obs://other")):
        status, _, errors = finish(bench.start(options, JOB_ID="two"))
        assert status == 1 and errors.startswith("error: process ") and errors.count("\n") == 1
        assert " of job one-" in errors and f"which writes its results to {bench.folder / 'cache/train'}" in errors
        assert "give each job an output_path of its own" in errors
    hold.unlink()
    assert [finish(process)[0] for process in first] == [7] * 2
    assert finish(bench.start(JOB_ID="two"))[0] == 7
    assert left_overs(bench) == [".train.uploaded"] and bench.locks() == []


def test_a_killed_job_does_not_keep_its_output_path(bench):
    bench.set("hold")
    victim = bench.start(JOB_ID="one")
    until(lambda: bench.begun() == 1)
    victim.kill()
    victim.wait()
    os.unlink(bench.folder / "hold")
    assert finish(bench.start(JOB_ID="two"))[0] == 7
    assert left_overs(bench) == [".train.uploaded"]


def test_two_jobs_that_want_the_same_zip_unzip_it_once(bench):
    with zipfile.ZipFile(bench.bucket / "data" / "images.zip", "w") as archive:
        archive.writestr("0/a.jpg", b"a")
    slow = bench.set("slow")
    jobs = [
        bench.start(own_results(bench, name, modelarts_dataset_unzip_name="images"), JOB_ID=name)
        for name in ("one", "two")
    ]
    copier = bench.copier()
    waiting([job for job in jobs if job.pid != copier])
    slow.unlink()
    outcomes = [finish(job) for job in jobs]
    assert [status for status, _, _ in outcomes] == [7] * 2
    assert sum("unzip: 1/1 files" in errors for _, _, errors in outcomes) == 1
