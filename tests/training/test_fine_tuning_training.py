"""Fine-tuning as users run it: a network that knows some digits learns others from few images in one epoch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import train as train_door
from src.checkpoints.weights import read_weights
from src.model_utils.command import run_command

pytestmark = pytest.mark.slow

KNOWN, NEW = "01234", "56789"
RESULT = re.compile(r"result: .*'Top_1_Acc': ([\d.]+)")
SHARED = (
    "--device_target=CPU", "--image_size=71", "--crop_min_area=0.5", "--flip_probability=0", "--lr_decay_mode=cosine",
    "--warmup_epochs=0", "--seed=1", "--num_classes=5",
)  # fmt: skip


def some(digits: Path, classes: str, images: int, out: Path) -> Path:
    """Copy the first images of some digits to a folder and return it."""
    for name in classes:
        (out / name).mkdir(parents=True)
        for path in sorted((digits / name).iterdir())[:images]:
            shutil.copy(path, out / name)
    return out


def test_one_epoch_from_a_trained_body_which_stays_as_it_is_reaches_much_more_than_chance(digits, tmp_path, capsys):
    def train(name: str, *words: str) -> str:
        assert run_command(train_door.main, [*SHARED, f"--save_checkpoint_path={tmp_path / name}", *words]) == 0
        return capsys.readouterr().out

    known = some(digits / "train", KNOWN, 60, tmp_path / "known")
    train("body", f"--train_data_dir={known}", "--batch_size=12", "--epoch_size=4", "--lr_max=0.006")
    few = some(digits / "train", NEW, 16, tmp_path / "few")
    held_out = some(digits / "val", NEW, 25, tmp_path / "held out")
    words = [f"--train_data_dir={few}", f"--test_data_dir={held_out}", "--eval_while_train", "--batch_size=8"]
    words += ["--epoch_size=1", "--lr_max=0.004", "--head_lr_scale=25", "--freeze=features"]
    body = tmp_path / "body" / "model_0" / "Xception-rank0-4_25.ckpt"
    # Other digits, though as many: the classifier is new.
    top_1 = float(RESULT.search(train("tuned", *words, f"--pretrained={body}"))[1])
    # Here 0.61; with the seeds 2 and 3 it is 0.34 and 0.54. Chance, 0.2, varies by 0.036 in 125 images.
    assert top_1 > 0.32, f"top-1 from a trained body {top_1:.2f}"
    before, after = (
        read_weights(path).values for path in (body, tmp_path / "tuned" / "model_0" / "Xception-rank0-1_10.ckpt")
    )
    moved = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    assert moved == {"fc.weight", "fc.bias"}
