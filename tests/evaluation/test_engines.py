"""An engine computes with the weights of the moment, in evaluation mode, and leaves the network as it was."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.evaluation.counting import evaluate
from src.evaluation.engines import by_mindspore
from src.loss import CrossEntropySmooth
from tests.helpers.logits import Logits, dataset_of


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_evaluated_in_evaluation_mode_and_left_as_it_was(training):
    network = Logits(3).set_train(training)
    logits, label = np.eye(3, dtype=np.float32), np.arange(3)
    expected = CrossEntropySmooth(True, "mean", 0.1, 3)(Tensor(logits), Tensor(label.astype(np.int32))).asnumpy()
    engine = by_mindspore(network, CrossEntropySmooth(True, "none", 0.1, 3), 3)
    assert evaluate(engine, dataset_of(logits, label, 3), 3).loss == pytest.approx(float(expected), rel=1e-6)
    assert network.training is training


def test_each_evaluation_sees_the_weights_of_its_moment():
    network = Logits(3)
    engine = by_mindspore(network, CrossEntropySmooth(True, "none", 0.0, 3), 3)
    dataset = dataset_of(np.eye(3, dtype=np.float32), np.arange(3), 3)
    first = evaluate(engine, dataset, 3).loss
    network.bias.set_data(Tensor(np.nan, ms.float32))
    with pytest.raises(ValueError, match="NaN"):
        evaluate(engine, dataset, 3)
    network.bias.set_data(Tensor(1.0, ms.float32))
    assert evaluate(engine, dataset, 3).loss == pytest.approx(first, rel=1e-5)
