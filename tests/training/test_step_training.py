"""Accumulation, clipping, averages and augmentation as users run them: with everything on, an exact resume."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

import eval as eval_door
import train as train_door
from src.model_utils.command import run_command
from tests.helpers.running import read_until, started
from tests.helpers.training_run import losses, options, run

pytestmark = pytest.mark.slow

LARGE = 2.0**126  # a loss scale that gradients overflow with, but not for long


def test_with_everything_on_a_run_stopped_inside_an_epoch_goes_on_to_the_same_losses(
    few_digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")  # the tests' own choice, which has no bfloat16
    words = [
        "--vertical_flip=0.5", "--rand_augment=9", "--mixup=0.2", "--cutmix=1.0", "--random_erasing=0.5",
        "--dropout_rate=0.3", "--gradient_accumulation=2",
        "--clip_grad_norm=1", "--ema_decay=0.5", "--weight_decay_filter=norm_and_bias", "--amp_level=O2",
        "--optimizer=lamb", "--layer_decay=0.75", "--scale_lr=True", "--loss_scale_mode=dynamic",
        f"--loss_scale={LARGE}", "--batch_size=2", "--epoch_size=1", "--log_steps=1", "--resume=auto",
    ]  # fmt: skip
    whole = run("train.py", options(few_digits, tmp_path / "whole", *words, "--eval_while_train=True"), tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = losses(whole.stdout)
    assert sorted(expected) == [(1, step) for step in range(1, 6)]
    assert "train: 20/20 images (100%)" in whole.stderr
    assert "a step has 4 images: the learning rates are multiplied by 0.00391, lr_max becomes 3.91e-05" in whole.stderr
    # Where there is no bfloat16 it trains in float32, without a loss scale.
    skipped = re.findall(r"^loss scale .*: 1 of the last 1 steps overflowed", whole.stdout, re.MULTILINE)
    assert (0 < len(skipped) < 5) == ("avx512_bf16" in Path("/proc/cpuinfo").read_text())
    in_parts = options(few_digits, tmp_path / "parts", *words)
    with started(in_parts, tmp_path) as process:
        output = read_until(process, "epoch: 1 step: 2,")  # the first step ends before a signal saves
        process.send_signal(signal.SIGTERM)
        output += process.communicate(timeout=60)[0]
    before = losses(output)
    assert max(before) < (1, 5)
    after = losses(run("train.py", in_parts, tmp_path).stdout)
    assert before | after == expected
    assert len(before) + len(after) == len(expected)
    checkpoints = [tmp_path / name / "model_0" / "Xception-rank0-1_5.ckpt" for name in ("whole", "parts")]
    left, right = (ms.load_checkpoint(str(path)) for path in checkpoints)
    assert left.keys() == right.keys()
    assert all(
        np.array_equal(left[name].asnumpy(), right[name].asnumpy())
        for name in left
        if name not in ("best_top_1", "metadata")
    )
    assert any(
        not np.array_equal(left[name].asnumpy(), left[f"ema.{name}"].asnumpy()) for name in ("fc.bias", "bn1.beta")
    )
    evaluated = options(few_digits, tmp_path, f"--checkpoint_path={checkpoints[0]}", "--amp_level=O2")
    assert run_command(eval_door.main, evaluated) == 0
    figures = [re.search(r"result: \{.*?\}", text)[0] for text in (whole.stdout, capsys.readouterr().out)]
    assert figures[0].split(", 'Top_1")[1] == figures[1].split(", 'Top_1")[1]


def test_too_few_images_for_one_step_names_both_options(few_digits, tmp_path, capsys):
    words = options(few_digits, tmp_path, "--batch_size=8", "--gradient_accumulation=3")
    assert run_command(train_door.main, words) == 1
    message = "less than one batch of 8 x 3 (--gradient_accumulation) for each of 1 device(s): use --batch_size=7"
    assert message in capsys.readouterr().err
