"""The launch scripts with real trainings and evaluations on CPU, and a real kill of one rank."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from src.checkpoints.names import numbered_checkpoints
from tests.helpers.launching import Launch, wait_until
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

SMALL = ["--num_classes=3", "--image_size=71", "--batch_size=2", "--log_steps=1", "--lr_max=0.01", "--warmup_epochs=0"]


def launch(folder: Path, script: str, *words: str | Path) -> Launch:
    return Launch(["bash", str(ROOT / "scripts" / script), *map(str, words)], folder, dict(os.environ))


def ranks(running: Launch) -> dict[str, int]:
    """Return the process of each training rank."""
    found = {}
    for process in running.processes():
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(ROOT / "train.py").encode() in words[:2] and b"MS_ROLE=MS_WORKER" in variables:
            rank = next(word for word in variables if word.startswith(b"RANK_ID="))
            found[rank.decode().partition("=")[2]] = process
    return found


@pytest.fixture(scope="module")
def killed(few_digits, tmp_path_factory) -> tuple[Path, tuple[int, str, str]]:
    """A training of two ranks, one of which is killed after the first checkpoint: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("two ranks")
    running = launch(folder, "run_msrun.sh", "CPU", "2", few_digits / "train", *SMALL, "--epoch_size=500")
    wait_until(lambda: numbered_checkpoints(folder / "cpu-ckpt" / "model_0"), running)
    os.kill(ranks(running)["1"], signal.SIGKILL)
    return folder, running.wait()


def test_the_kill_of_one_rank_ends_the_run_and_every_process(killed):
    folder, (status, _, errors) = killed
    log = folder / "train_parallel1" / "log.txt"
    assert status == 137
    assert errors.splitlines()[-1] == f"error: rank 1 was killed by signal 9 (SIGKILL): above is the end of {log}"
    assert "loss is" in errors


@pytest.fixture(scope="module")
def resumed(killed, few_digits) -> tuple[Path, tuple[int, str, str]]:
    """The training that goes on from the last checkpoint of the killed one for an epoch, with a rank table."""
    folder = killed[0]
    last = numbered_checkpoints(folder / "cpu-ckpt" / "model_0")[-1]
    epoch = int(re.search(r"-(\d+)_", last.name)[1])
    words = ["--resume", last.relative_to(folder), f"--epoch_size={epoch + 1}", "--device_target=CPU"]
    devices = [{"device_id": str(rank), "device_ip": "", "rank_id": str(rank)} for rank in range(2)]
    table = {"version": "1.0", "server_count": "1", "server_list": [{"server_id": "here", "device": devices}]}
    (folder / "table.json").write_text(json.dumps(table))
    running = launch(folder, "run_distribute_train.sh", "table.json", few_digits / "train", *SMALL, *words)
    return folder, running.wait()


def test_logs_hold_no_warning_of_how_the_ranks_meet(resumed):
    logs = [(resumed[0] / f"train_parallel{rank}" / "log.txt").read_text() for rank in ("0", "1", "_scheduler")]
    for log in logs[:2]:
        assert "for all 2 ranks to start" in log
    for log in logs:
        assert "[WARNING] DISTRIBUTED" not in log


def test_a_run_with_a_killed_rank_goes_on_from_its_last_checkpoint(resumed):
    folder, (status, output, errors) = resumed
    assert (status, errors) == (0, "")
    log = (folder / "train_parallel0" / "log.txt").read_text()
    assert "finished: checkpoints and metrics are in cpu-ckpt/model_0" in log
    assert output.splitlines()[-1] in log
    epoch = int(re.search(r"resuming .* after epoch (\d+), step 0", log)[1])
    names = [path.name for path in numbered_checkpoints(folder / "cpu-ckpt" / "model_0")]
    assert f"Xception-rank0-{epoch + 1}_5.ckpt" in names
    assert (folder / "train_parallel1" / "earlier-1" / "log.txt").exists()


def test_both_ranks_train_and_the_first_alone_writes(resumed):
    folder = resumed[0]
    logs = [(folder / f"train_parallel{rank}" / "log.txt").read_text() for rank in range(2)]
    assert all(re.search(r"epoch: \d+ step: 5, loss is \d", log) for log in logs)
    assert [path.name for path in (folder / "cpu-ckpt").iterdir()] == ["model_0"]


def test_an_evaluation_shows_its_result(resumed, few_digits):
    folder = resumed[0]
    checkpoint = numbered_checkpoints(folder / "cpu-ckpt" / "model_0")[-1].relative_to(folder)
    words = ["0", few_digits / "val", checkpoint, "--device_target", "CPU", *SMALL[:2], "--batch_size=16"]
    status, output, errors = launch(folder, "run_eval.sh", *words).wait()
    assert (status, errors) == (0, "")
    assert re.search(r"^result: \{'Loss': ", output, re.MULTILINE)
    assert "evaluated 37 images, each once" in (folder / "eval.log").read_text()


def test_a_standalone_training_writes_its_log_and_checkpoint(few_digits, tmp_path):
    words = ["0", few_digits / "train", "--device_target", "CPU", *SMALL, "--epoch_size=1"]
    status, output, errors = launch(tmp_path, "run_standalone_train.sh", *words).wait()
    assert (status, errors) == (0, "")
    assert "finished: checkpoints and metrics are in cpu-ckpt/model_0" in (tmp_path / "log.txt").read_text()
    assert "finished: checkpoints and metrics are in cpu-ckpt/model_0" in output.splitlines()
    assert len(numbered_checkpoints(tmp_path / "cpu-ckpt" / "model_0")) == 1
