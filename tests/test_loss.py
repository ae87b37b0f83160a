"""The loss equals its formula in double precision, for every option."""

from __future__ import annotations

import inspect

import mindspore as ms
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mindspore import Tensor

from src.loss import REDUCTIONS, CrossEntropySmooth
from tests.helpers.deterministic import execution_mode
from tests.helpers.labels import smoothed

REDUCE = {"mean": np.mean, "sum": np.sum, "none": lambda losses: losses}


def formula(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each row, in float64."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    return -(target * (shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))).sum(1)


def test_the_signature_is_the_model_zoos():
    parameters = inspect.signature(CrossEntropySmooth).parameters.values()
    expected = [("sparse", True), ("reduction", "mean"), ("smooth_factor", 0.0), ("num_classes", 1000)]
    by_position = [each for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [(parameter.name, parameter.default) for parameter in by_position] == expected


@given(
    images=st.integers(1, 5),
    classes=st.integers(1, 12),
    smooth=st.floats(0, 0.99),
    reduction=st.sampled_from(sorted(REDUCE)),
    scale=st.sampled_from([0.1, 5.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
@example(images=3, classes=1, smooth=0.1, reduction="mean", scale=5.0, seed=0)
def test_sparse_labels_follow_the_formula(images, classes, smooth, reduction, scale, seed):
    random = np.random.RandomState(seed)
    logits = (scale * random.standard_normal((images, classes))).astype(np.float32)
    label = random.randint(0, classes, images).astype(np.int32)
    # Each shape would be compiled anew in graph mode.
    with execution_mode(ms.PYNATIVE_MODE):
        loss = CrossEntropySmooth(True, reduction, smooth, classes)(Tensor(logits), Tensor(label)).asnumpy()
    expected = REDUCE[reduction](formula(logits, smoothed(label, classes, smooth)))
    assert loss.shape == np.shape(expected)
    assert np.allclose(loss, expected, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_dense_labels_are_taken_as_they_are(images, classes, seed):
    random = np.random.RandomState(seed)
    logits = random.standard_normal((images, classes)).astype(np.float32)
    target = random.dirichlet(np.ones(classes), images).astype(np.float32)
    with execution_mode(ms.PYNATIVE_MODE):
        loss = CrossEntropySmooth(False, "none", 0.1, classes)(Tensor(logits), Tensor(target)).asnumpy()
    assert np.allclose(loss, formula(logits, target), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_compiled_loss_follows_the_formula(sparse, reduction):
    random = np.random.RandomState(0)
    logits = random.standard_normal((4, 6)).astype(np.float32)
    label = random.randint(0, 6, 4).astype(np.int32)
    target = smoothed(label, 6, 0.1)
    given_label = label if sparse else target.astype(np.float32)
    loss = CrossEntropySmooth(sparse, reduction, 0.1, 6)(Tensor(logits), Tensor(given_label))
    assert loss.dtype == ms.float32
    assert np.allclose(loss.asnumpy(), REDUCE[reduction](formula(logits, target)), rtol=1e-5)


def test_half_precision_logits_are_computed_in_single():
    logits = np.array([[6e4, -6e4, 0]], np.float16)
    loss = CrossEntropySmooth(num_classes=3)(Tensor(logits), Tensor(np.array([1], np.int32)))
    assert loss.dtype == ms.float32
    assert np.isclose(float(loss.asnumpy()), 1.2e5, rtol=1e-3)


def test_the_gradient_is_softmax_minus_target():
    random = np.random.RandomState(0)
    logits = random.standard_normal((4, 6)).astype(np.float32)
    label = random.randint(0, 6, 4).astype(np.int32)
    gradient = ms.grad(CrossEntropySmooth(True, "sum", 0.1, 6))(Tensor(logits), Tensor(label)).asnumpy()
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(gradient, softmax - smoothed(label, 6, 0.1), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": "max"}, "one of mean, sum, none, but got 'max'"),
        ({"smooth_factor": 1.0}, r"\[0, 1\), but got 1.0"),
        ({"smooth_factor": -0.1}, r"\[0, 1\), but got -0.1"),
        ({"smooth_factor": float("nan")}, "but got nan"),
        ({"num_classes": 0}, "at least 1, but got 0"),
    ],
)
def test_an_impossible_argument_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossEntropySmooth(**arguments)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize(
    ("arguments", "logits", "label"),
    [
        ({"num_classes": 3}, (2, 10), np.zeros(2, np.int32)),
        ({"num_classes": 1}, (2, 10), np.zeros(2, np.int32)),
        ({"num_classes": 2, "sparse": False}, (2, 2), np.zeros(2, np.float32)),
        ({"num_classes": 2}, (2, 2), np.zeros(1, np.int32)),
    ],
)
def test_labels_that_do_not_fit_the_logits_are_an_error_and_not_broadcast(mode, arguments, logits, label):
    loss = CrossEntropySmooth(**arguments)
    with execution_mode(mode), pytest.raises(ValueError, match=r"labels of shape .* do not fit logits of"):
        loss(Tensor(np.zeros(logits, np.float32)), Tensor(label))


def test_class_weights_scale_the_term_of_each_class_and_ranks_average_them_exactly():
    logits = np.random.RandomState(0).standard_normal((6, 3)).astype(np.float32)
    labels, weights = np.array([0, 1, 2, 2, 1, 0], np.int32), [0.5, 2.0, 0.0]
    expected = formula(logits, smoothed(labels, 3, 0.1) * weights)
    loss = CrossEntropySmooth(True, "none", 0.1, 3, class_weights=weights)
    np.testing.assert_allclose(loss(Tensor(logits), Tensor(labels)).asnumpy(), expected, rtol=1e-5)
    mean = CrossEntropySmooth(True, "mean", 0.1, 3, class_weights=weights)
    halves = [float(mean(Tensor(logits[part]), Tensor(labels[part]))) for part in (slice(0, 3), slice(3, 6))]
    whole = float(mean(Tensor(logits), Tensor(labels)))
    assert [np.mean(halves), expected.mean()] == pytest.approx([whole, whole], rel=1e-5)
    dense = CrossEntropySmooth(False, "none", 0.0, 3, class_weights=weights)
    found = dense(Tensor(logits), Tensor(smoothed(labels, 3, 0.1).astype(np.float32))).asnumpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="class_weights must be one for each of 3 classes, but got 2"):
        CrossEntropySmooth(num_classes=3, class_weights=[1, 2])
