"""Batch norm's statistics: which of them are averaged over the ranks, and that none is saved that has diverged."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState
from src.model_utils.local_adapter import ALONE, Group
from src.training import batch_norm
from src.training.batch_norm import RankStatistics, synchronize
from src.training.epoch_end import EpochEnd
from src.training.fine_tuning import freeze
from src.training.metrics import Row
from src.training.step import follow
from src.Xception import xception
from tests.helpers.small_network import build_state


def averaged_names(state: TrainingState) -> list[str]:
    """Return the names of what is averaged over two ranks."""
    with mock.patch.object(batch_norm, "average_over_ranks") as average:
        RankStatistics(state, Group(0, 2)).average()
    (parameters, group) = average.call_args.args
    assert group == Group(0, 2)
    return [parameter.name for parameter in parameters]


def test_the_statistics_of_the_network_and_of_its_average_are_averaged_but_no_frozen_ones():
    network = xception(3)
    moving = [parameter.name for parameter in network.get_parameters() if ".moving_" in parameter.name]
    assert sorted(averaged_names(TrainingState(network, None))) == sorted(moving)
    freeze(network, "conv|bn1|block[1-8]\\.")
    averaged = follow(xception(3), network)
    names = averaged_names(TrainingState(network, None, averaged))
    left = [name for name in moving if not name.startswith(("bn1.", *(f"block{n}." for n in range(1, 9))))]
    assert sorted(names) == sorted([*left, *(f"ema.{name}" for name in left)])
    assert {"bn2.moving_mean", "ema.block12.skipbn.moving_variance"} <= set(names)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_statistic_that_has_diverged_ends_training_before_it_is_saved(wrong):
    state = build_state()
    statistics = RankStatistics(state, ALONE)
    statistics.average()
    state.network.bn1.moving_variance.set_data(Tensor([1, wrong], ms.float32))
    with pytest.raises(ValueError, match=r"^bn1.moving_variance is NaN or infinite: training has diverged; the last"):
        statistics.average()


def test_statistics_are_averaged_at_the_end_of_each_epoch_before_they_are_saved_and_validated():
    calls = mock.Mock()
    calls.validation.stopping.is_over.return_value = False
    calls.log.last_row = Row(1, 5, 0.1, 1.0, 1.0)
    end = EpochEnd(
        calls.plan, calls.log, mock.MagicMock(), calls.statistics,
        validation=calls.validation, metrics=None, keeper=calls.keeper,
    )  # fmt: skip
    end.on_train_epoch_end(None)
    told = {"statistics.average", "keeper.save_if_due", "validation.run"}
    names = [name for name, _, _ in calls.mock_calls if name in told]
    assert names == ["statistics.average", "keeper.save_if_due", "validation.run"]


def test_synchronised_batch_norm_has_mindspores_operator_in_each_cell_that_is_not_frozen():
    network = xception(3)
    freeze(network, "conv1|bn1")
    before = network.bn1.bn_train
    with mock.patch.object(nn, "SyncBatchNorm") as kind:
        kind.side_effect = lambda *arguments: SimpleNamespace(bn_train=arguments)
        synchronize(network)
    assert network.bn1.bn_train is before
    found = {
        name: cell for name, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d) and name != "bn1"
    }
    assert len(found) == 39
    for cell in found.values():
        channels, epsilon, momentum = cell.bn_train
        assert (channels, epsilon) == (cell.num_features, 1e-5)
        assert momentum == pytest.approx(0.9)
