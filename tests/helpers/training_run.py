"""A small training as users run it, for the tests that look at one or break one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.helpers.project import ROOT

EPOCHS, STEPS, BATCH = 2, 5, 4  # of the data set `few_digits`
SMALL = "tests/helpers/small_training.py"  # in the place of train.py, where the network is not what a test looks at
RESULT = re.compile(r"result: (\{'Loss': \d+\.\d+, 'Top_1_Acc': [01]\.\d+, 'Top_5_Acc': 1\.0\})")
_LOSS = re.compile(r"epoch: (\d+) step: (\d+), loss is (\d+\.\d+)")


def options(data: Path, out: Path, *more: str) -> list[str]:
    """Return the options of the training, with further ones at the end, which win."""
    return [
        "--device_target=CPU", f"--train_data_dir={data / 'train'}", f"--test_data_dir={data / 'val'}",
        "--num_classes=3", "--image_size=71", f"--batch_size={BATCH}", f"--epoch_size={EPOCHS}", "--log_steps=2",
        "--lr_max=0.01", f"--save_checkpoint_path={out}", *more,
    ]  # fmt: skip


def run(script: str, words: list[str], cwd: Path) -> subprocess.CompletedProcess:
    """Run a command of the project to its end."""
    return subprocess.run(
        [sys.executable, ROOT / script, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


def losses(output: str) -> dict[tuple[int, int], str]:
    """Return the logged losses by epoch and step."""
    return {(int(epoch), int(step)): loss for epoch, step, loss in _LOSS.findall(output)}
