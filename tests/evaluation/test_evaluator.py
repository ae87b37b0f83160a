"""Evaluation counts every image once, and counts it right."""

from __future__ import annotations

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.evaluation.evaluator import Evaluator, Result
from src.loss import CrossEntropySmooth
from tests.helpers.logits import Logits, dataset_of


def run(logits: np.ndarray, label: np.ndarray, batch_size: int, network: nn.Cell | None = None) -> Result:
    classes = logits.shape[1]
    network = network or Logits(classes)
    evaluator = Evaluator(network, CrossEntropySmooth(True, "none", 0.1, classes), classes, batch_size)
    return evaluator.evaluate(dataset_of(logits, label, batch_size), len(label))


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
    evaluator = Evaluator(Logits(3), CrossEntropySmooth(True, "none", 0.0, 3), 3, 2)
    with pytest.raises(ValueError, match="saw 5 images instead of 6"):
        evaluator.evaluate(dataset_of(logits, np.zeros(5, int), 2), 6)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_evaluated_in_evaluation_mode_and_left_as_it_was(training):
    network = Logits(3).set_train(training)
    logits, label = np.eye(3, dtype=np.float32), np.arange(3)
    expected = CrossEntropySmooth(True, "mean", 0.1, 3)(Tensor(logits), Tensor(label.astype(np.int32))).asnumpy()
    assert run(logits, label, 3, network).loss == pytest.approx(float(expected), rel=1e-6)
    assert network.training is training


def test_each_evaluation_sees_the_weights_of_its_moment():
    network = Logits(3)
    evaluator = Evaluator(network, CrossEntropySmooth(True, "none", 0.0, 3), 3, 3)
    dataset = dataset_of(np.eye(3, dtype=np.float32), np.arange(3), 3)
    first = evaluator.evaluate(dataset, 3).loss
    network.bias.set_data(Tensor(np.nan, ms.float32))
    with pytest.raises(ValueError, match="NaN"):
        evaluator.evaluate(dataset, 3)
    network.bias.set_data(Tensor(1.0, ms.float32))
    assert evaluator.evaluate(dataset, 3).loss == pytest.approx(first, rel=1e-5)


def test_the_result_line_is_the_references():
    line = Result(359, 1.77, 0.798, 0.948, np.zeros((1, 1))).to_line()
    assert line == "result: {'Loss': 1.77, 'Top_1_Acc': 0.798, 'Top_5_Acc': 0.948}"
    assert re.fullmatch(r"result: \{'Loss': [\d.]+, 'Top_1_Acc': [\d.]+, 'Top_5_Acc': [\d.]+\}", line)
