"""A finished training of the small network, for tests that break one, go on with it, or refuse to."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.sharing import made_once
from tests.helpers.small_training import train_small


def _train(data: Path, folder: Path) -> int:
    return train_small(data, folder / "out", "--eval_while_train=True")


@pytest.fixture(scope="session")
def trained_small(few_digits, base) -> Path:
    """The folder of a training of two epochs with validation, only to be read."""
    status = made_once(base, "small training", partial(_train, few_digits))
    assert status == 0
    return base / "small training" / "out" / "model_0"


@pytest.fixture
def small_copy(trained_small, tmp_path) -> Path:
    """A copy of it, below tmp_path / "out"."""
    return Path(shutil.copytree(trained_small, tmp_path / "out" / "model_0"))
