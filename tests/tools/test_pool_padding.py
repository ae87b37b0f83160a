"""The padding of max pooling, in which the packages differ, belongs to the network's weights."""

from __future__ import annotations

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState, load_training
from src.checkpoints.weights import load_weights, read_metadata, save_weights
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.real_packages import CLASSES, images

pytestmark = pytest.mark.slow


def test_the_pool_padding_goes_with_the_checkpoint(tmp_path, small):
    network = xception(CLASSES, "symmetric")
    save_weights(tmp_path / "a.ckpt", network)
    other = xception(CLASSES)
    load_weights(other, tmp_path / "a.ckpt")
    assert other.pool_padding == "symmetric"
    save_weights(tmp_path / "b.ckpt", other)
    assert read_metadata(tmp_path / "b.ckpt").pool_padding == "symmetric"
    load_weights(other, small)
    assert other.pool_padding == "same"
    load_training(TrainingState(other, nn.Momentum(other.trainable_params(), 0.1, 0.9)), tmp_path / "b.ckpt")
    assert other.pool_padding == "symmetric"


def test_padding_set_later_computes_what_padding_set_at_first_does():
    first, later = xception(CLASSES, "symmetric"), xception(CLASSES)
    later.set_pool_padding("symmetric")
    outputs = []
    for network in (first, later):
        set_weights(network)
        outputs.append(network.set_train(False)(Tensor(images(96))).asnumpy())
    assert np.array_equal(*outputs)
    with pytest.raises(ValueError, match=r"compiled with symmetric pool padding already: build another one"):
        later.set_pool_padding("same")
    with pytest.raises(ValueError, match=r"pool_padding must be one of same, symmetric, but got valid"):
        xception(CLASSES, "valid")
