"""The layers that every conversion pairs, and batch norm under another epsilon."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from src.Xception import xception
from tools.weight_formats.layers import change_epsilon, parameter_shapes, xception_layers


def test_the_layers_have_every_parameter_once():
    names = [name for layer in xception_layers() for name in layer.parameters]
    assert sorted(names) == sorted(parameter.name for parameter in xception(2).get_parameters())
    shapes = {parameter.name: tuple(parameter.shape) for parameter in xception(5).get_parameters()}
    assert parameter_shapes(5) == shapes


@given(st.floats(0, 1e3, width=32), st.floats(-10, 10, width=32), st.sampled_from([(1e-3, 1e-5), (1e-5, 1e-3)]))
def test_another_epsilon_leaves_the_factor_of_batch_norm_as_it_was(variance, gamma, epsilons):
    source, target = epsilons
    weights = {}
    for layer in xception_layers():
        if layer.kind == "norm":
            weights[f"{layer.name}.gamma"] = np.float32([gamma])
            weights[f"{layer.name}.moving_variance"] = np.float32([variance])
    changed = change_epsilon(weights, source, target)
    before, after = gamma / np.sqrt(variance + source), changed["bn1.gamma"] / np.sqrt(variance + target)
    assert np.allclose(after, before, rtol=1e-6, atol=1e-37)
    assert changed["bn1.moving_variance"] is weights["bn1.moving_variance"]
