"""Training as users lose sight of it: the reader leaves, the log's disk is full, the terminal is closed."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.project import ROOT
from tests.helpers.small_training import load_small
from tests.helpers.training_run import SMALL, options

pytestmark = pytest.mark.slow

EPOCHS = 30
LONG = f"--epoch_size={EPOCHS} --keep_checkpoint_max={EPOCHS}"  # so that a signal comes before the end


@pytest.fixture
def command(few_digits) -> str:
    """A small training of a folder of its own, to which more options can be added."""
    words = options(few_digits, Path("out"), "--log_steps=1")
    # Without a buffer Python has nothing left to write as it ends, which gives status 120 where that fails.
    return shlex.join(["env", "--unset=PYTHONUNBUFFERED", sys.executable, str(ROOT / SMALL), *words])


def checkpoints(folder: Path) -> list[str]:
    """Return the names of the checkpoints, each of which can be read."""
    paths = sorted(folder.rglob("Xception-rank0-*.ckpt"))
    for path in paths:
        load_small(path)
    return [path.name for path in paths]


def after_a_step(folder: Path, ended: Callable[[], bool], wait: Callable[[], object]) -> None:
    """Wait until a few losses have been written."""
    metrics = folder / "out" / "model_0" / "metrics.csv"
    while not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        assert not ended()
        wait()


def test_a_reader_that_leaves_and_a_closed_stderr_leave_the_training_alone(command, tmp_path):
    script = f"{command} 2>&- | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.count("\n"), result.stderr) == (0, 1, "")
    assert checkpoints(tmp_path) == ["Xception-rank0-1_5.ckpt", "Xception-rank0-2_5.ckpt"]


def test_ctrl_c_saves_where_it_ends_the_reader_of_the_output_too(command, tmp_path):
    script = f"{command} {LONG} 2>&1 | tee log; exit ${{PIPESTATUS[0]}}"
    process = subprocess.Popen(["bash", "-c", f"trap : INT; {script}"], cwd=tmp_path, start_new_session=True)
    after_a_step(tmp_path, lambda: process.poll() is not None, lambda: time.sleep(0.01))
    os.killpg(process.pid, signal.SIGINT)
    # MindSpore makes one that comes in the first moment of a step a SIGTERM.
    assert process.wait(timeout=60) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert 1 <= len(checkpoints(tmp_path)) < EPOCHS


def test_a_closed_terminal_saves(command, tmp_path):
    process, terminal = pty.fork()
    if not process:
        os.chdir(tmp_path)
        os.execvp("bash", ["bash", "-c", f"exec {command} {LONG}"])

    def read() -> None:
        if select.select([terminal], [], [], 0.02)[0]:
            os.read(terminal, 65536)

    after_a_step(tmp_path, lambda: False, read)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert 1 <= len(checkpoints(tmp_path)) < EPOCHS
