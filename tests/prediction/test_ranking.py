"""Classes are ranked by probability, as evaluation ranks them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.accuracy import place_of_label
from src.prediction.ranking import Prediction, rank

PATH = Path("a.jpg")


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=9))
def test_the_best_come_first_and_equal_ones_in_the_order_of_evaluation(values):
    logits = np.array(values, np.float32)
    ranked = rank(PATH, logits)
    places = [int(place_of_label(logits[None], np.array([label]))[0]) for label in range(len(values))]
    assert [ranked.classes.index(label) for label in range(len(values))] == places
    powers = np.exp(logits.astype(np.float64))
    assert ranked.probabilities == pytest.approx((powers / powers.sum())[list(ranked.classes)])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_first_of_them_are_all_where_there_are_fewer(count):
    ranked = Prediction(PATH, (1, 0), (0.7, 0.3))
    assert ranked.first(count) == Prediction(PATH, (1, 0)[:count], (0.7, 0.3)[:count])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error_that_names_the_image(value):
    with pytest.raises(ValueError, match=r"logits for a\.jpg are NaN or infinite"):
        rank(PATH, np.array([0, value], np.float32))
