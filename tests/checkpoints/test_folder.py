"""Where the files of a training lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.checkpoints.folder import checkpoint_folder
from src.model_utils.config import parse_config


@pytest.mark.parametrize(
    ("device", "words", "folder"),
    [
        ("Ascend", [], "ckpt_0"),
        ("GPU", [], "gpu-ckpt/fp16/model_0"),
        ("GPU", ["--is_fp32=True"], "gpu-ckpt/fp32/model_0"),
        ("GPU", ["--amp_level=O0"], "gpu-ckpt/fp32/model_0"),
        ("CPU", [], "cpu-ckpt/model_0"),
    ],
)
def test_checkpoints_lie_where_the_reference_puts_them(device, words, folder):
    assert checkpoint_folder(parse_config(words, lambda _: device)) == Path(folder)
