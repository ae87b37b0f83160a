"""What is said of the images of a training before it begins."""

from __future__ import annotations

import numpy as np
import pytest

from src.data.usable_images import UsableImages
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training.images import check_data, say_left_over
from src.training.plan import TrainingPlan


def configure(*words: str):
    return parse_config(["--num_classes=3", "--batch_size=2", "--eval_while_train", *words], lambda _: "CPU")


def test_a_validation_on_the_training_images_is_told_by_whatever_name(numbered, tmp_path, capsys):
    link = tmp_path / "link"
    link.symlink_to(numbered)
    check_data(configure(f"--train_data_dir={numbered}", f"--test_data_dir={link}"), ALONE)
    assert capsys.readouterr().err == (
        f"warning: test_data_dir {link} holds the images that are trained on, and tells nothing of others: "
        "--validation_split=0.1 in its place holds a part of them out\n"
    )


def test_a_part_that_is_held_out_is_told_and_validated_on(numbered, capsys):
    trained, test = check_data(configure(f"--train_data_dir={numbered}", "--validation_split=0.3"), ALONE)
    held = set(test.images.source.image_files())
    assert held and held.isdisjoint(trained.source.image_files()) and len(held) + trained.count == 40
    output = capsys.readouterr()
    assert f"validation_split 0.3: {len(held)} of 40 images of {numbered} are held out for validation\n" in output.out
    assert output.err == ""


@pytest.mark.parametrize(
    ("steps", "size", "rank", "said"),
    [
        (11, 32, 0, "29 of 381 images, others in each epoch, are left out: they fill no step of 32\n"),
        (11, 32, 1, ""),
        (12, 32, 0, ""),  # ranks fill up
        (381, 1, 0, ""),
    ],
)
def test_images_that_fill_no_step_are_told(steps, size, rank, said, capsys):
    plan = TrainingPlan(np.zeros(steps), steps, size)
    say_left_over(configure("--test_data_dir=x"), plan, UsableImages(None, 381), Group(rank, 2))
    assert capsys.readouterr().err == said
