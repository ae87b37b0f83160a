"""The benchmark of the input pipeline has a row for each data set and each augmentation."""

from __future__ import annotations

import re

import pytest

from src.model_utils.config import ConfigError
from tools.benchmark_pipeline import main

QUICK = ["--image_size=71", "--batch_size=4", "--rounds=1"]


def test_each_data_set_is_read_with_each_augmentation(few_digits, records, capsys):
    folders = [str(few_digits / "train"), str(records)]
    words = ["auto_augment=trivialaugment", "mixup=0.2"]
    assert main([*folders, "--train", "--with", *words, *QUICK]) == 0
    rows = [
        re.fullmatch(r" *[\d.]+ images/s +([\d.]+) x +[\d.]+ ms of CPU an image  (.*)", line)
        for line in capsys.readouterr().out.splitlines()
    ]
    assert [row[2] for row in rows] == [f"{folder} {word}".rstrip() for folder in folders for word in ("", *words)]
    assert rows[0][1] == "1.00"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--with", "mixup=0.2"], "training alone has: add --train"),
        (["--train", "--with", "lr_max=1"], "--with lr_max=1 changes nothing of crop_min_area, flip_probability, "),
    ],
)
def test_what_would_have_no_effect_is_refused(few_digits, words, message):
    with pytest.raises(ConfigError, match=message):
        main([str(few_digits / "train"), *words, *QUICK])
