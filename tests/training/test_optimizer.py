"""The optimizer is MindSpore's momentum, to the last bit."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.training.optimizer import Momentum
from tests.helpers.small_network import Small, assert_same, set_random, values


@pytest.mark.parametrize("in_groups", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_its_steps_are_mindspores(in_groups, decay):
    networks = Small(), Small()
    set_random(networks[0].get_parameters())
    for ours, theirs in zip(*(network.get_parameters() for network in networks), strict=True):
        theirs.set_data(ours.value())
    random = np.random.default_rng(0)
    gradients = [random.normal(size=parameter.shape) for parameter in networks[0].trainable_params()]
    for network, kind in zip(networks, (Momentum, nn.Momentum), strict=True):
        parameters = network.trainable_params()
        if in_groups:
            parameters = [{"params": parameters[:3], "weight_decay": 0.3}, {"params": parameters[3:]}]
        optimizer = kind(parameters, 0.1, 0.9, decay, loss_scale=4.0)
        for _ in range(2):
            optimizer(tuple(Tensor(gradient, ms.float32) for gradient in gradients))
    assert_same(values(networks[0]), values(networks[1]))
