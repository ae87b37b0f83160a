"""Accumulation, clipping, averages and augmentation together: with everything on, an exact resume."""

from __future__ import annotations

import mindspore as ms
import numpy as np

import train as train_door
from src.model_utils.command import run_command
from tests.helpers.small_training import train_small
from tests.helpers.training_run import losses, options

EVERYTHING = (
    "--vertical_flip=0.5", "--rand_augment=9", "--mixup=0.2", "--cutmix=1.0", "--random_erasing=0.5",
    "--dropout_rate=0.3", "--gradient_accumulation=2", "--clip_grad_norm=1", "--ema_decay=0.5",
    "--weight_decay_filter=norm_and_bias", "--optimizer=lamb", "--layer_decay=0.75", "--scale_lr=True",
    "--batch_size=2", "--epoch_size=1", "--log_steps=1", "--save_checkpoint_steps=2",
)  # fmt: skip


def test_with_everything_on_a_training_goes_on_inside_an_epoch_to_the_same_losses_and_weights(
    few_digits, tmp_path, capsys
):
    assert train_small(few_digits, tmp_path / "whole", *EVERYTHING) == 0
    said, notes = capsys.readouterr()
    whole = losses(said)
    assert sorted(whole) == [(1, step) for step in range(1, 6)]
    assert "train: 20/20 images (100%)" in notes
    assert "a step has 4 images: the learning rates are multiplied by 0.00391, lr_max becomes 3.91e-05" in notes
    inside = tmp_path / "whole" / "model_0" / "Xception-rank0-1_2.ckpt"
    assert train_small(few_digits, tmp_path / "parts", *EVERYTHING, f"--resume={inside}") == 0
    assert losses(capsys.readouterr().out) == {place: loss for place, loss in whole.items() if place > (1, 2)}
    checkpoints = [tmp_path / name / "model_0" / "Xception-rank0-1_5.ckpt" for name in ("whole", "parts")]
    left, right = (ms.load_checkpoint(str(path)) for path in checkpoints)
    assert left.keys() == right.keys()
    assert [
        name
        for name in left
        if name not in ("best_top_1", "metadata") and not np.array_equal(left[name].asnumpy(), right[name].asnumpy())
    ] == []
    assert any(
        not np.array_equal(left[name].asnumpy(), left[f"ema.{name}"].asnumpy()) for name in ("fc.bias", "bn1.beta")
    )


def test_too_few_images_for_one_step_names_both_options(few_digits, tmp_path, capsys):
    words = options(few_digits, tmp_path, "--batch_size=8", "--gradient_accumulation=3")
    assert run_command(train_door.main, words) == 1
    message = "less than one batch of 8 x 3 (--gradient_accumulation) for each of 1 device(s): use --batch_size=7"
    assert message in capsys.readouterr().err
