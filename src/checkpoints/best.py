"""Which of two validations is the better one."""

from __future__ import annotations

import numpy as np

TOP_1, TOP_5, LOSS = "top_1", "top_5", "loss"  # what is compared, as best_metric names it
METRICS = (TOP_1, TOP_5, LOSS)
NONE = -1.0  # the best figure before the first validation, of all of them


def is_better(metric: str, figure: float, best: float) -> bool:
    """Tell whether a figure is better than the best so far; NaN never is.

    Args:
        metric: One of METRICS.
        figure: That of the new validation, 0 or more.
        best: The best so far, or NONE.
    """
    if not np.isfinite(figure):
        return False
    if best < 0:
        return True
    new, old = np.float32(figure), np.float32(best)  # as a checkpoint records it
    return bool(new < old if metric == LOSS else new > old)
