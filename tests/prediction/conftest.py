"""What the tests of the predictor and of its command share: a checkpoint, and what it predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.prediction.predictor import Options, Predictions, predict
from tests.helpers.prediction import configuration


@pytest.fixture(scope="session")
def checkpoint(trained) -> Path:
    return trained[0] / "Xception-best.ckpt"


@pytest.fixture(scope="session")
def predicted(few_digits, checkpoint) -> Predictions:
    """All classes of the images in val."""
    return predict(configuration(few_digits, checkpoint), [str(few_digits / "val")], Options(topk=99))
