"""Batch norm on several ranks: each normalises by its own images, unless that is synchronised, and keeps statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, nn

from src.checkpoints.parameters import AVERAGE
from src.checkpoints.training_state import TrainingState
from src.model_utils.local_adapter import Group, average_over_ranks


def synchronize(network: nn.Cell) -> None:
    """Let batch norm normalise by the images of all ranks, which Ascend alone can do.

    Args:
        network: The network, with what is frozen frozen already, before it is called for the first time.
    """
    for norm in _moving_norms(network):
        # The cell stays: precision and freezing go by its kind, and it differs from the other in this operator alone.
        norm.bn_train = nn.SyncBatchNorm(norm.num_features, norm.eps, 1.0 - norm.momentum).bn_train


class RankStatistics:
    """The moving statistics of batch norm, which every rank takes of its own images.

    Args:
        state: What is trained.
        group: The processes that train together.
    """

    def __init__(self, state: TrainingState, group: Group):
        self._group = group
        self._statistics = _moving_statistics(state)

    def average(self) -> None:
        """Give all ranks the mean of their statistics, before these are saved or validated; all call this together.

        Raises:
            ValueError: If a statistic is NaN or infinite.
        """
        average_over_ranks(self._statistics, self._group)
        wrong = [each.name for each in self._statistics if not np.isfinite(each.asnumpy()).all()]
        if wrong:
            raise ValueError(
                f"{wrong[0]} is NaN or infinite: training has diverged; the last checkpoint is kept; try a lower "
                "--lr_max or a longer warm-up"
            )


def _moving_norms(network: nn.Cell) -> Sequence[nn.BatchNorm2d]:
    """Return the batch norms that use the statistics of the batch, and so move the others."""
    cells = (cell for _, cell in network.cells_and_names())
    return [cell for cell in cells if isinstance(cell, nn.BatchNorm2d) and cell.use_batch_statistics is not False]


def _moving_statistics(state: TrainingState) -> list[Parameter]:
    moving = [each for norm in _moving_norms(state.network) for each in (norm.moving_mean, norm.moving_variance)]
    names = {f"{AVERAGE}{each.name}" for each in moving}
    averaged = state.averaged.get_parameters() if state.averaged is not None else ()
    return [*moving, *(each for each in averaged if each.name in names)]
