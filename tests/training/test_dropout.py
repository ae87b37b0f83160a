"""The dropout mask is a function of seed and step, with the statistics of nn.Dropout."""

import mindspore as ms
import numpy as np
import pytest

from src.training.dropout import ReplayableDropout

SHAPE = (8, 500)


def output(step: int, seed: tuple[int, ...] = (1, 0), p: float = 0.5) -> np.ndarray:
    dropout = ReplayableDropout(p, SHAPE, seed)
    dropout.set_train()
    dropout.draw(step)
    return dropout(ms.Tensor(np.ones(SHAPE, np.float32))).asnumpy()


def test_the_mask_depends_on_seed_and_step_alone():
    assert np.array_equal(output(7), output(7))
    others = [output(8), output(7, seed=(2, 0)), output(7, seed=(1, 1))]
    assert all(np.mean(output(7) == other) < 0.6 for other in others)


def test_a_mask_drawn_later_replaces_the_one_before():
    dropout = ReplayableDropout(0.5, SHAPE, (1, 0))
    dropout.set_train()
    for step in (3, 4):
        dropout.draw(step)
    assert np.array_equal(dropout(ms.Tensor(np.ones(SHAPE, np.float32))).asnumpy(), output(4))


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_elements_are_dropped_with_probability_p_and_the_rest_is_scaled(p):
    values = np.concatenate([output(step, p=p).ravel() for step in range(10)])
    assert set(np.unique(values)) <= {np.float32(0), np.float32(1) / np.float32(1 - p)}
    # Five standard deviations of 40,000 draws.
    assert abs((values == 0).mean() - p) <= 5 * np.sqrt(p * (1 - p) / values.size)


def test_evaluation_passes_everything():
    dropout = ReplayableDropout(0.5, SHAPE, (1, 0))
    dropout.draw(1)
    dropout.set_train(False)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    assert np.array_equal(dropout(ms.Tensor(x)).asnumpy(), x)


def test_it_has_no_trainable_parameter():
    assert ReplayableDropout(0.5, SHAPE, (1, 0)).trainable_params() == []
