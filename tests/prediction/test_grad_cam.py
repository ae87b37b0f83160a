"""A heat map is what the equations of Grad-CAM say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.prediction.grad_cam import GradCam
from tests.helpers.deterministic import random_images, set_weights


class Tiny(nn.Cell):
    """A network with Xception's two halves; its head is a dense layer, or two with an activation between."""

    def __init__(self, hidden: bool):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        layers = [nn.Dense(6, 8), nn.Tanh(), nn.Dense(8, 4)] if hidden else [nn.Dense(6, 4)]
        self.fc = nn.SequentialCell(layers)
        set_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.conv(x).abs()

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(features.mean((2, 3)))

    def construct(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def test_behind_global_pooling_and_a_dense_layer_the_weights_of_a_heat_map_are_that_layers():
    network = Tiny(hidden=False)
    images = random_images(0, 4, 3, 11, 11).asnumpy()
    images[0] += 1
    logits, maps = GradCam(network)(images)
    features = network.forward_features(Tensor(images)).asnumpy()
    height, width = features.shape[2:]
    weights = network.fc[0].weight.asnumpy()[logits.argmax(1)] / (height * width)
    exact = np.maximum((weights[:, :, None, None] * features).sum(1), 0)
    assert logits.argmax(1).tolist() == [2, 1, 1, 1]  # not all of one class
    assert maps.shape == (4, height, width) and maps.any()
    assert np.allclose(maps, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("label", [None, 2])
def test_a_heat_map_is_what_small_changes_of_the_features_do_to_the_logit(label):
    network = Tiny(hidden=True)
    images = random_images(0, 4, 3, 11, 11).asnumpy()
    features = network.forward_features(Tensor(images)).asnumpy()
    logits, maps = GradCam(network)(images, label)
    assert np.allclose(logits, network(Tensor(images)).asnumpy(), rtol=1e-5, atol=1e-6)
    classes = logits.argmax(1) if label is None else np.full(4, label)
    height, width = maps.shape[1:]
    step = 1e-2
    for row, (down, across) in itertools.product(range(4), [(0, 0), (2, 3), (height - 1, width - 1)]):
        # Each map is moved everywhere by its value at one place: the sum of weight times value is the slope.
        direction = np.zeros_like(features)
        direction[row] = features[row, :, down, across, None, None] / (height * width)
        up, low = (network.forward_head(Tensor(features + s * direction)).asnumpy() for s in (step, -step))
        slope = height * width * (up - low)[row, classes[row]] / (2 * step)
        assert maps[row, down, across] * height * width == pytest.approx(max(slope, 0), rel=1e-2, abs=1e-2)
