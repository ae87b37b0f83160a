"""Nothing is lost when things break: real processes are killed, stopped, and run out of disk."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from src.checkpoints.weights import save_weights
from src.training.metrics import read_metrics
from tests.helpers.project import ROOT
from tests.helpers.running import read_until, started
from tests.helpers.small_training import Small, load_small, train_small
from tests.helpers.training_run import SMALL, losses, options, run

pytestmark = pytest.mark.slow


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("Xception*.ckpt")}


def test_a_kill_while_saving_always_leaves_the_last_good_checkpoint(tmp_path):
    tries = 30
    result = subprocess.run(
        [sys.executable, "-m", "tests.helpers.kill_while_saving", tmp_path, str(tries)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = re.search(r"(\d+) kills: (\d+) good checkpoints, (\d+) unfinished files", result.stdout)
    assert found, result.stdout
    assert found.group(1, 2) == (str(tries), str(tries))
    assert int(found[3]) > tries / 3, "the kills missed the writing"
    assert "skipping" not in result.stdout


LONG = ("--epoch_size=8", "--log_steps=1", "--resume=auto")  # so that a signal comes before the end


@pytest.fixture(scope="module")
def undisturbed(few_digits, tmp_path_factory) -> dict[int, float]:
    """The loss of every step of the training that nothing disturbs."""
    out = tmp_path_factory.mktemp("undisturbed")
    assert train_small(few_digits, out, *LONG, "--save_checkpoint=False") == 0
    return {row.step: row.loss for row in read_metrics(out / "model_0" / "metrics.csv")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_the_step_saves_and_resumes_to_the_same_losses(few_digits, undisturbed, tmp_path, number):
    words = options(few_digits, Path("out"), *LONG)
    with started(words, tmp_path, SMALL) as process:
        output = read_until(process, "epoch: 1 step: 2,")
        process.send_signal(number)
        rest, error = process.communicate(timeout=60)
    received = signal.Signals(process.returncode - 128)
    assert received in (number, signal.SIGTERM)  # MindSpore makes a SIGINT that it meets in a step a SIGTERM
    before = losses(output + rest)
    epoch, step = max(before)
    path = f"out/model_0/Xception-rank0-{epoch}_{step}.ckpt"
    if step == 5:
        assert f"stopped by {received.name} after epoch {epoch}; wrote {path}" in error
    else:
        said = f"stopped by {received.name} after epoch {epoch}, step {step}; wrote {path}, --resume=auto goes on"
        assert said in error
    assert "Traceback" not in error
    ended = {f"Xception-rank0-{each}_5.ckpt" for each in range(max(epoch - 4, 1), epoch)}
    assert checkpoints(tmp_path) == {*ended, Path(path).name}
    if number == signal.SIGINT:
        return
    result = run(SMALL, words, tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"resuming {path} after epoch" in result.stdout
    assert not before.keys() & losses(result.stdout).keys()
    rows = read_metrics(tmp_path / "out" / "model_0" / "metrics.csv")
    assert {row.step: row.loss for row in rows} == undisturbed
    assert len(rows) == len(undisturbed)


@pytest.mark.parametrize(("line", "left"), [("configuration:", set()), ("epoch time:", {"Xception-rank0-1_5.ckpt"})])
def test_a_stop_signal_while_compiling_or_evaluating_ends_at_once(few_digits, tmp_path, line, left):
    with started(options(few_digits, tmp_path, "--eval_while_train=True"), tmp_path) as process:
        output = read_until(process, line)
        while left - checkpoints(tmp_path):  # the epoch's checkpoint comes before its evaluation
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert "result:" not in output + rest
    assert checkpoints(tmp_path) == left


def test_a_second_training_in_the_same_folder_is_refused_and_the_first_goes_on(few_digits, tmp_path, capsys):
    words = options(few_digits, tmp_path / "out", "--epoch_size=1")
    with started(words, tmp_path, SMALL) as process:
        read_until(process, "configuration:")
        process.send_signal(signal.SIGSTOP)
        assert train_small(few_digits, tmp_path / "out", "--epoch_size=1") == 1
        refused = capsys.readouterr().err.splitlines()[-1]
        elsewhere = train_small(few_digits, tmp_path / "other", "--epoch_size=1")
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate(timeout=60)
    folder = tmp_path / "out" / "model_0"
    assert refused == (
        f"error: another training is writing to {folder}: wait for it, or choose another --save_checkpoint_path"
    )
    assert (process.returncode, elsewhere) == (0, 0), error
    for path in (folder, tmp_path / "other" / "model_0"):
        load_small(path / "Xception-rank0-1_5.ckpt")


def test_what_a_killed_training_left_does_not_stop_the_next(few_digits, small_copy, tmp_path):
    with started(options(few_digits, tmp_path / "out", "--resume=auto", "--epoch_size=3"), tmp_path, SMALL) as process:
        read_until(process, "configuration:")
        process.kill()
        process.wait()
    unfinished = small_copy / f".Xception-rank0-3_5.ckpt.{'0' * 32}.tmp"
    unfinished.mkdir()
    (unfinished / "new.tmp").write_bytes(b"half")
    assert train_small(few_digits, tmp_path / "out", "--resume=auto") == 0  # finished: nothing to do
    assert unfinished.exists()
    assert train_small(few_digits, tmp_path / "out", "--resume=auto", "--epoch_size=3") == 0
    assert not unfinished.exists()
    assert "Xception-rank0-3_5.ckpt" in checkpoints(small_copy)


# Disks


def on_small_disk(script: str, folder: Path, *mount: str) -> subprocess.CompletedProcess:
    """Run a shell script in a folder that is a file system of its own, seen by this script alone."""
    command = f'mount -t tmpfs {" ".join(mount)} tmpfs "$PWD" && cd "$PWD" && {script}'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", command],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def can_mount(folder: Path) -> bool:
    return shutil.which("unshare") is not None and on_small_disk("true", folder).returncode == 0


def test_a_full_disk_stops_training_and_keeps_the_checkpoint_before(few_digits, tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("this system lets nobody mount a small disk (unshare --user --mount)")
    words = " ".join(f"'{word}'" for word in options(few_digits, Path("out"), "--log_steps=5"))
    script = (
        f"'{sys.executable}' '{ROOT / 'train.py'}' {words}; echo status $?; find . -type f;"
        f"'{sys.executable}' '{ROOT / 'eval.py'}' {words} --checkpoint_path=out/model_0/Xception-rank0-1_5.ckpt"
    )
    result = on_small_disk(script, tmp_path, "-o size=240m")  # a checkpoint of three classes has 166 MB
    assert "status 1\n" in result.stdout, result.stderr
    assert re.search(r"^error: No space left on device: out/model_0/Xception-rank0-", result.stderr, re.MULTILINE), (
        result.stderr
    )
    assert "Traceback" not in result.stderr
    files = set(re.findall(r"^\./out/model_0/(.*)$", result.stdout, re.MULTILINE))
    assert {name for name in files if "ckpt" in name} == {"Xception-rank0-1_5.ckpt"}
    assert "evaluated 37 images, each once" in result.stdout
    assert sorted(losses(result.stdout)) == [(1, 5), (2, 5)]


def test_a_read_only_disk_is_one_line_before_training(few_digits, tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("this system lets nobody mount a small disk (unshare --user --mount)")
    words = " ".join(f"'{word}'" for word in options(few_digits, Path("out")))
    result = on_small_disk(f"'{sys.executable}' '{ROOT / 'train.py'}' {words}", tmp_path, "-o ro")
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["error: Read-only file system: out"]


# A training that learns nothing


def test_a_loss_that_stays_at_that_of_guessing_is_warned_about(few_digits, tmp_path, capsys):
    network = Small(3)
    for parameter in (network.fc.weight, network.fc.bias):
        parameter.set_data(ms.ops.zeros_like(parameter))
    save_weights(tmp_path / "zero.ckpt", network)
    words = [f"--resume={tmp_path}/zero.ckpt", "--epoch_size=1", "--save_checkpoint=False"]
    rates = [f"--{name}=0" for name in ("lr_init", "lr_max", "lr_end")]
    assert train_small(few_digits, tmp_path, *words, *rates) == 0
    captured = capsys.readouterr()
    assert [float(loss) for loss in losses(captured.out).values()] == pytest.approx(3 * [np.log(3)], rel=1e-4)
    assert "warning: the loss stayed at 1.10, that of guessing, for all of epoch 1: nothing is learned" in captured.err


def test_a_training_whose_loss_moves_is_not_said_to_learn_nothing(trained):
    assert "nothing is learned" not in trained[1].stderr
