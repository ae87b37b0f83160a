"""Weights of the classes: what they are, what a file may say, and a training with them that goes on exactly."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from src.data.image_source import open_images
from src.data.usable_images import UsableImages
from src.model_utils.config import ConfigError, parse_config
from src.training.class_weights import class_weights, describe_extremes, describe_weights
from tests.helpers.image_files import make_tree
from tests.helpers.small_training import train_small
from tests.helpers.training_run import losses


@pytest.fixture
def images(tmp_path) -> UsableImages:
    names = [f"data/cat/{n}.jpg" for n in range(6)] + ["data/dog/1.jpg", "data/dog/2.jpg", "data/=é/1.jpg"]
    make_tree(tmp_path, names)
    source = open_images(str(tmp_path / "data"))
    assert source.class_names == ["=é", "cat", "dog"]
    return UsableImages(source, 9)


def configure(value):
    return parse_config([f"--class_weights={value}"], lambda _: "CPU")


def test_balanced_weights_are_1_on_the_average_of_the_images(images):
    weights = class_weights(configure("balanced"), images)
    assert weights == pytest.approx([3, 0.5, 1.5])
    assert np.average(weights, weights=[1, 6, 2]) == pytest.approx(1)
    left_out = tuple(path for path in images.source.image_files() if "cat" in path)[:4]
    assert class_weights(configure("balanced"), UsableImages(images.source, 5, left_out)) == pytest.approx(
        [5 / 3, 5 / 6, 5 / 6]
    )
    assert class_weights(configure("none"), images) is None is class_weights(configure(""), images)
    assert describe_extremes(weights, images.class_names) == "class weights from 0.5 (cat) to 3 (=é)"


def test_a_file_gives_the_weights_by_name_and_its_content_is_told(images, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("class,weight\ndog,2\n'=e\u0301,0.5\n\ncat, 0\n", "utf-8-sig")
    assert class_weights(configure(path), images) == (0.5, 0, 2)
    told = describe_weights(configure(path))
    path.write_text("dog,2\n=\xe9,0.5\ncat,1\n", "utf-8")
    assert class_weights(configure(path), images) == (0.5, 1, 2)
    assert told != describe_weights(configure(path)) and told.startswith("weights.csv (")
    assert describe_weights(configure("balanced")) == "balanced"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat,1\n", "has no weight for 2 of 3 classes, such as =é"),
        ("cat,1\nbird,2\n", "line 2: the training images have no class bird"),
        ("cat,1\ncat,2\n", "line 2: class cat has a weight already"),
        ("cat,-1\n", "line 1: expected 'class,weight' with a weight of 0 or more, got 'cat,-1'"),
        ("cat,nan\n", "got 'cat,nan'"),
        ("cat\n", "got 'cat'"),
        ("cat,0\ndog,0\n=é,0\n", "gives every class the weight 0"),
        ('"cat,0\n', "is no CSV file"),
        (None, "No such file or directory; give none, balanced, or a CSV file"),
    ],
)
def test_a_wrong_file_is_told(images, tmp_path, text, said):
    path = tmp_path / "weights.csv"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=re.escape(said)):
        class_weights(configure(path), images)


def test_a_training_with_them_and_a_balanced_sampler_goes_on_as_if_it_had_not_stopped(few_digits, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(few_digits / "train", data / "train")
    for path in sorted((data / "train" / "2").iterdir())[2:]:
        path.unlink()
    words = ["--sampler=balanced", "--class_weights=balanced", "--log_steps=1"]
    assert train_small(data, tmp_path / "whole", *words) == 0
    whole = capsys.readouterr().out
    assert "class weights from 0.7619 (0) to 2.667 (2)\n" in whole
    assert "sampler balanced: 16 images are drawn in an epoch, 5 of each class, which have 2 to 7\n" in whole
    (checkpoint,) = (tmp_path / "whole").rglob("Xception-rank0-1_4.ckpt")
    assert train_small(data, tmp_path / "rest", *words, f"--resume={checkpoint}") == 0
    rest = capsys.readouterr()
    expected = {step: loss for step, loss in losses(whole).items() if step[0] == 2}
    assert losses(rest.out) == expected and len(expected) == 4
    assert "not the uninterrupted run" not in rest.err
    assert train_small(data, tmp_path / "other", "--log_steps=1", f"--resume={checkpoint}") == 0
    other = capsys.readouterr()
    assert "sampler balanced -> random, class_weights balanced -> none" in other.err
    assert losses(other.out) != expected
