"""Threads of the ranks of a machine: their processors, divided by how many use each."""

from __future__ import annotations

import numpy as np
import pytest

from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE
from src.model_utils.shared_processors import Share, find_share, share_threads, threads_of


@pytest.mark.parametrize(
    ("mine", "users", "threads"),
    [
        ([1, 1, 1, 1], [4, 4, 4, 4], 1),
        ([1] * 96, [8] * 96, 12),
        ([1, 1, 0, 0], [1, 1, 1, 1], 2),  # bound to processors of its own: they are not divided again
        ([1, 1, 1, 1], [1, 1, 2, 2], 3),
        ([1, 1], [8, 8], 1),
        ([1] * 7, [7] * 7, 1),
    ],
)
def test_a_rank_has_its_part_of_the_processors_that_it_may_use(mine, users, threads):
    assert threads_of(np.array(mine), np.array(users)) == threads


def test_a_process_alone_and_a_given_number_stay_as_they_are(capsys):
    config = parse_config([], lambda _: "CPU")
    assert find_share(ALONE) is None
    assert share_threads(config, None, ALONE) is config
    given = config.replace(num_parallel_workers=3)
    assert share_threads(given, Share(1, 2, 2), ALONE) is given
    assert capsys.readouterr().out == ""
