"""A validation that is no better than guessing, or whose loss is absurd, is told, and no other one."""

from __future__ import annotations

import numpy as np
import pytest

from src.evaluation.counting import Result
from src.training.chance import ChanceWatch


def result(confusion: list[list[int]], loss: float = 2.0) -> Result:
    table = np.array(confusion)
    return Result(int(table.sum()), loss, float(np.trace(table) / table.sum()), 1.0, table)


ONE_CLASS = [[40, 0], [40, 0]]
LUCK = [[21, 19], [18, 22]]  # 43 of 80: half of all such validations of a network that guesses are as good
LEARNED = [[30, 10], [8, 32]]
MOST_ARE_OF_ONE_CLASS = [[90, 0], [10, 0]]


@pytest.mark.parametrize("confusion", [ONE_CLASS, LUCK, MOST_ARE_OF_ONE_CLASS])
def test_two_validations_at_chance_or_the_last_one_are_told(confusion):
    watch = ChanceWatch()
    assert watch.warning(result(confusion), is_last=False) == ""
    assert "no better than chance" in watch.warning(result(confusion), is_last=False)
    assert "no better than chance" in ChanceWatch().warning(result(confusion), is_last=True)


def test_what_is_said_names_the_figures():
    said = ChanceWatch().warning(result(MOST_ARE_OF_ONE_CLASS), is_last=True)
    assert said == (
        "warning: validation top-1 is 0.9000, and always guessing the most frequent class gives 0.9000: no better than "
        "chance (all are taken for one class); check the labels and the learning rate"
    )


def test_nothing_is_said_of_a_network_that_learns_or_of_a_single_class():
    watch = ChanceWatch()
    for confusion in (ONE_CLASS, LEARNED, ONE_CLASS, LEARNED):
        assert watch.warning(result(confusion), is_last=False) == ""
    assert watch.warning(result(LEARNED), is_last=True) == ""
    assert ChanceWatch().warning(result([[5]], 0.0), is_last=True) == ""


@pytest.mark.parametrize("loss", [1.85e19, float("inf"), float("nan")])
def test_an_absurd_loss_is_told_at_once(loss):
    said = ChanceWatch().warning(result(LEARNED, loss), is_last=False)
    assert said.startswith(f"warning: the validation loss is {loss:.3g}, where guessing has 0.693")
