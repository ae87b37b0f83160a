"""The most confident mistakes and the most confused classes, whatever the batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.mistakes import ConfidentMistakes, Confusion, Mistake, most_confused


def of_batches(logits: np.ndarray, labels: np.ndarray, batch: int, limit: int) -> tuple[Mistake, ...]:
    mistakes = ConfidentMistakes(limit)
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        mistakes.add(np.arange(len(labels))[part], logits[part], labels[part])
    return mistakes.result()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.integers(2, 6), st.integers(1, 30))
def test_they_are_the_most_confident_of_all_whatever_the_batches(seed, images, batch, classes, limit):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (images, classes)).astype(np.float32)
    labels = random.integers(0, classes, images)
    probability = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
    wrong = [i for i in range(images) if logits[i].argmax() != labels[i]]
    expected = sorted(wrong, key=lambda i: -probability[i].max())[:limit]
    found = of_batches(logits, labels, batch, limit)
    assert [mistake.image for mistake in found] == expected
    for mistake in found:
        assert (mistake.label, mistake.predicted) == (labels[mistake.image], logits[mistake.image].argmax())
        assert np.isclose(mistake.confidence, probability[mistake.image].max())


def test_huge_logits_have_a_confidence_of_one():
    (mistake,) = of_batches(np.array([[1e4, -1e4]], np.float32), np.array([1]), 1, 5)
    assert mistake == Mistake(0, 1, 0, 1.0)


def test_confused_pairs_come_with_the_most_images_first():
    confusion = np.array([[5, 3, 1], [0, 7, 3], [0, 0, 0]])
    assert most_confused(confusion) == [Confusion(0, 1, 3, 3 / 9), Confusion(1, 2, 3, 0.3), Confusion(0, 2, 1, 1 / 9)]
    assert most_confused(confusion, 1) == [Confusion(0, 1, 3, 3 / 9)]
    assert most_confused(np.eye(3, dtype=int)) == []
