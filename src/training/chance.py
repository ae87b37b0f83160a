"""Whether a validation tells more than guessing would, and what is said where it does not."""

from __future__ import annotations

import math

import numpy as np

from src.evaluation.counting import Result

_DEVIATIONS = 2  # standard deviations above chance that luck alone seldom reaches
_ABSURD = 100  # times the loss of a network that gives all classes the same probability


class ChanceWatch:
    """Notices validations that are no better than chance.

    One such validation may be that of a beginning, before the statistics of batch norm are settled; two in succession,
    or that of the last epoch, are none.
    """

    def __init__(self) -> None:
        self._was_chance = False

    def warning(self, result: Result, *, is_last: bool) -> str:
        """Return what is to be said of a validation, "" for nothing.

        Args:
            result: The validation.
            is_last: Whether training ends with it.
        """
        classes = len(result.confusion)
        guessing = math.log(max(classes, 2))
        if not result.loss < _ABSURD * guessing:
            return (
                f"warning: the validation loss is {result.loss:.3g}, where guessing has {guessing:.3g}: these "
                "weights are of no use; try a lower --lr_max"
            )
        chance = best_guess(result)
        limit = chance + _DEVIATIONS * math.sqrt(chance * (1 - chance) / result.images)
        was_chance, self._was_chance = self._was_chance, result.top_1 <= limit and classes > 1
        if not (self._was_chance and (was_chance or is_last)):
            return ""
        predicted = np.count_nonzero(result.confusion.sum(axis=0))
        how = f"{predicted} of {classes} classes are predicted" if predicted > 1 else "all are taken for one class"
        return (
            f"warning: validation top-1 is {result.top_1:.4f}, and always guessing the most frequent class gives "
            f"{chance:.4f}: no better than chance ({how}); check the labels and the learning rate"
        )


def best_guess(result: Result) -> float:
    """Return the top-1 that always guessing the most frequent class gives, 0 to 1."""
    return float(result.confusion.sum(axis=1).max() / result.images)
