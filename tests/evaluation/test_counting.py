"""Evaluation counts every image once, and counts it right."""

from __future__ import annotations

import re

import numpy as np
import pytest
from mindspore import Tensor

from src.evaluation.counting import Result, evaluate
from src.evaluation.engines import by_mindspore
from src.loss import CrossEntropySmooth
from tests.helpers.logits import Logits, dataset_of


def run(logits: np.ndarray, label: np.ndarray, batch_size: int) -> Result:
    classes = logits.shape[1]
    engine = by_mindspore(Logits(classes), CrossEntropySmooth(True, "none", 0.1, classes), batch_size)
    return evaluate(engine, dataset_of(logits, label, batch_size), len(label))


@pytest.mark.parametrize(("images", "batch_size", "classes"), [(37, 8, 10), (8, 8, 7), (3, 8, 4), (1, 1, 1)])
def test_figures_equal_those_of_numpy_whatever_the_last_batch(images, batch_size, classes):
    random = np.random.default_rng(images)
    logits = random.normal(size=(images, classes)).astype(np.float32)
    label = random.integers(0, classes, images)
    result = run(logits, label, batch_size)
    order = np.argsort(-logits, 1)
    confusion = np.zeros((classes, classes), int)
    for true, predicted in zip(label, order[:, 0], strict=True):
        confusion[true, predicted] += 1
    assert result.images == images
    assert np.array_equal(result.confusion, confusion)
    assert result.top_1 == pytest.approx((order[:, 0] == label).mean())
    assert result.top_5 == pytest.approx((order[:, :5] == label[:, None]).any(1).mean())
    losses = CrossEntropySmooth(True, "none", 0.1, classes)(Tensor(logits), Tensor(label.astype(np.int32))).asnumpy()
    assert result.loss == pytest.approx(losses.mean(dtype=np.float64), rel=1e-6)


def test_with_up_to_five_classes_the_top_five_hold_every_label():
    assert run(np.eye(5, dtype=np.float32), np.zeros(5, int), 2).top_5 == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error_and_no_correct_prediction(value):
    logits = np.full((4, 3), value, np.float32)
    with pytest.raises(ValueError, match="NaN or infinite"):
        run(logits, np.zeros(4, int), 2)


def test_a_missing_image_is_an_error():
    logits = np.zeros((5, 3), np.float32)
    engine = by_mindspore(Logits(3), CrossEntropySmooth(True, "none", 0.0, 3), 2)
    with pytest.raises(ValueError, match="saw 5 images instead of 6"):
        evaluate(engine, dataset_of(logits, np.zeros(5, int), 2), 6)


def test_the_result_line_is_the_references():
    line = Result(359, 1.77, 0.798, 0.948, np.zeros((1, 1))).to_line()
    assert line == "result: {'Loss': 1.77, 'Top_1_Acc': 0.798, 'Top_5_Acc': 0.948}"
    assert re.fullmatch(r"result: \{'Loss': [\d.]+, 'Top_1_Acc': [\d.]+, 'Top_5_Acc': [\d.]+\}", line)
