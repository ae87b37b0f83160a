"""The learning rate of each part of the network falls with the distance from the classifier."""

from __future__ import annotations

import pytest

from src.training.parameter_groups import rate_factor
from src.Xception import xception
from tests.helpers.configuration import parse

DEPTHS = {"conv1": 0, "bn1": 0, "conv2": 0, "bn2": 0, "conv3": 13, "bn3": 13, "conv4": 13, "bn4": 13, "fc": 14} | {
    f"block{number}": number for number in range(1, 13)
}


def test_every_part_of_xception_has_its_factor():
    config = parse("--layer_decay=0.5", "--head_lr_scale=10")
    parts = {}
    for parameter in xception(3).trainable_params():
        parts.setdefault(parameter.name.partition(".")[0], set()).add(rate_factor(config, parameter.name))
    expected = {part: {0.5 ** (14 - depth)} for part, depth in DEPTHS.items()} | {"fc": {10.0}}
    assert parts == expected


@pytest.mark.parametrize("name", ["conv1.weight", "block12.skip.weight", "fc.bias"])
def test_without_it_all_rates_are_the_schedules(name):
    assert rate_factor(parse(), name) == 1
