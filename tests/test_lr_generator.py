"""Schedules equal the reference's where that was right, and hand-written ones elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.lr_generator import DECAY_MODES, get_lr
from tests.helpers.deterministic import GOLDEN

WARMED = [mode for mode in DECAY_MODES if mode != "steps"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("linear_pub", (1, 5, 7, "linear")),
        ("poly_pub", (1, 5, 7, "poly")),
        ("steps_pub", (1, 10, 7, "steps")),
        ("linear_resume_pub", (1, 5, 7, "linear", 14)),
    ],
)
def test_schedules_equal_the_references(name, arguments):
    expected = np.load(GOLDEN / "lr.npz")[name]
    found = get_lr(4e-5, 4e-5, 0.4, *arguments)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.775, 0.55, 0.325]),
        ("poly", [0.0, 0.5, 1.0, 0.5625, 0.25, 0.0625]),
        ("cosine", [0.0, 0.5, 1.0, 0.775, 0.325, 0.1]),
    ],
)
def test_small_schedules_are_those_written_by_hand(mode, expected):
    assert np.allclose(get_lr(0.0, 0.1, 1.0, 1, 3, 2, mode), expected, atol=1e-7)


def test_steps_falls_to_a_tenth_three_times():
    expected = [1] * 3 + [0.1] * 3 + [0.01] * 2 + [0.001] * 2
    assert np.allclose(get_lr(0.0, 0.0, 1.0, 0, 10, 1, "steps"), expected)


def test_steps_has_no_warm_up():
    assert np.array_equal(get_lr(0.0, 0.0, 1.0, 3, 10, 2, "steps"), get_lr(0.0, 0.0, 1.0, 0, 10, 2, "steps"))


def test_numpy_numbers_are_numbers_and_half_an_epoch_is_counted_in_whole_steps():
    expected = get_lr(0.0, 0.1, 1.0, 1, 5, 7, "linear", 3)
    found = get_lr(np.float32(0), 0.1, np.float64(1), np.int64(1), np.int32(5), np.int64(7), "linear", np.int64(3))
    assert np.allclose(found, expected, rtol=1e-6)
    assert np.argmax(get_lr(0.0, 0.1, 1.0, 0.5, 5, 7, "linear")) == 3


numbers = {
    "rates": st.tuples(*[st.floats(0, 10, width=32, allow_subnormal=False)] * 3),
    "warmup": st.integers(0, 4),
    "epochs": st.integers(1, 8),
    "steps": st.integers(1, 30),
}


@given(**numbers, mode=st.sampled_from(DECAY_MODES), share=st.floats(0, 1))
def test_a_resumed_schedule_is_the_rest_of_the_whole_one(rates, warmup, epochs, steps, mode, share):
    warmup = min(warmup, epochs)
    whole = get_lr(*rates, warmup, epochs, steps, mode)
    assert whole.shape == (epochs * steps,)
    assert whole.dtype == np.float32
    start = int(share * len(whole))
    assert np.array_equal(get_lr(*rates, warmup, epochs, steps, mode, start), whole[start:])


@given(**numbers, mode=st.sampled_from(WARMED))
def test_warm_up_is_linear_and_decay_monotone_within_the_bounds(rates, warmup, epochs, steps, mode):
    lr_init, lr_end, lr_max = rates
    warmup = min(warmup, epochs)
    schedule = get_lr(*rates, warmup, epochs, steps, mode).astype(np.float64)
    before, after = np.split(schedule, [warmup * steps])
    if len(before):
        assert np.allclose(before, np.linspace(lr_init, lr_max, len(before), endpoint=False), rtol=1e-5, atol=1e-6)
    if len(after):
        assert np.isclose(after[0], lr_max, rtol=1e-6)
        low = 0.0 if mode == "poly" else min(lr_end, lr_max)
        assert after.min() >= low - 1e-6 * max(lr_end, lr_max)  # a far smaller rate drowns in the larger one
        assert after.max() <= max(lr_end, lr_max) * (1 + 1e-6)
        direction = 1 if mode != "poly" and lr_end > lr_max else -1
        assert (direction * np.diff(after) >= -1e-6).all()


@given(**numbers)
def test_cosine_starts_at_lr_max_and_ends_at_lr_end(rates, warmup, epochs, steps):
    lr_init, lr_end, lr_max = rates
    schedule = get_lr(lr_init, lr_end, lr_max, min(warmup, epochs - 1), epochs, steps + 1, "cosine")
    assert np.isclose(schedule[min(warmup, epochs - 1) * (steps + 1)], lr_max, rtol=1e-6)
    assert np.isclose(schedule[-1], lr_end, rtol=1e-6, atol=1e-6)


def test_the_old_spelling_of_linear_warns():
    with pytest.warns(FutureWarning, match="liner"):
        found = get_lr(4e-5, 4e-5, 0.4, 1, 5, 7, "liner")
    assert np.array_equal(found, get_lr(4e-5, 4e-5, 0.4, 1, 5, 7, "linear"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_decay_mode": "square"}, "one of linear, poly, steps, cosine, but got 'square'"),
        ({"warmup_epochs": 6}, r"\[0, 5\] \(total_epochs\), but got 6"),
        ({"warmup_epochs": 5.1}, r"\[0, 5\] \(total_epochs\), but got 5.1"),
        ({"warmup_epochs": -0.1}, "but got -0.1"),
        ({"warmup_epochs": float("nan")}, "but got nan"),
        ({"total_epochs": 0}, "got 0 epochs"),
        ({"total_epochs": float("inf")}, "got inf epochs"),
        ({"steps_per_epoch": 0}, "of 0 steps"),
        ({"steps_per_epoch": float("nan")}, "of nan steps"),
        ({"global_step": 36}, r"\[0, 35\] \(all steps\), but got 36"),
        ({"global_step": -1}, "but got -1"),
        ({"lr_max": -0.1}, "-0.1"),
        ({"lr_end": float("nan")}, "nan"),
        ({"lr_init": float("inf")}, "inf"),
    ],
)
def test_an_impossible_argument_is_an_error(changes, message):
    arguments = {
        "lr_init": 4e-5, "lr_end": 4e-5, "lr_max": 0.4, "warmup_epochs": 1, "total_epochs": 5, "steps_per_epoch": 7,
        "lr_decay_mode": "linear", "global_step": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        get_lr(**{**arguments, **changes})
