"""Accuracy is counted as NumPy sorts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.accuracy import Accuracy, place_of_label


@given(st.lists(st.lists(st.integers(-2, 2), min_size=6, max_size=6), min_size=1, max_size=9), st.data())
def test_equal_logits_are_ordered_as_a_stable_sort_does(rows, data):
    logits = np.array(rows, np.float32)
    label = np.array([data.draw(st.integers(0, 5)) for _ in rows])
    order = np.argsort(-logits, 1, kind="stable")
    assert place_of_label(logits, label).tolist() == [
        list(row).index(true) for row, true in zip(order, label, strict=True)
    ]


@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 7), st.randoms(use_true_random=False))
def test_accuracy_equals_that_of_numpy_in_batches_of_any_size(classes, images, batch, random):
    generator = np.random.default_rng(random.randrange(2**32))
    logits = generator.integers(-3, 4, (images, classes)).astype(np.float32)
    label = generator.integers(0, classes, images)
    accuracy = Accuracy(classes)
    for start in range(0, images, batch):
        accuracy.add(logits[start : start + batch], label[start : start + batch])
    order = np.argsort(-logits, 1, kind="stable")
    assert accuracy.images == images
    assert accuracy.top_1 == pytest.approx((order[:, 0] == label).mean())
    assert accuracy.top_5 == pytest.approx((order[:, :5] == label[:, None]).any(1).mean())
    pairs = list(zip(label, order[:, 0], strict=True))
    expected = [[pairs.count((true, predicted)) for predicted in range(classes)] for true in range(classes)]
    assert accuracy.confusion.tolist() == expected
