"""What is said of the images of a training before it begins."""

from __future__ import annotations

import numpy as np
import pytest

from src.data.usable_images import UsableImages
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training.images import check_data
from src.training.plan import TrainingPlan
from src.training.summary import summarize


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
    ("steps", "size", "said"),
    [
        (11, 32, "; 29 images are left out of each, others each time"),
        (12, 32, ""),  # ranks fill up
        (381, 1, ""),
    ],
)
def test_images_that_fill_no_step_are_told(steps, size, said):
    plan = TrainingPlan(np.zeros(steps), steps, size)
    *_, last = summarize(configure(), Group(0, 2), plan, (UsableImages(None, 381), None), None, has_library=False)
    assert last == f"steps: {steps} in 250 epochs of {steps}{said}"
