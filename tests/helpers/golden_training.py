"""The six steps of training whose losses and weights are in the golden file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mindspore import Tensor, nn

from src.loss import CrossEntropySmooth
from src.lr_generator import get_lr
from src.Xception import Xception, xception
from tests.helpers.deterministic import GOLDEN, set_weights


def six_steps(to_forward: Callable[[Xception], nn.Cell] = lambda network: network) -> dict[str, float]:
    """Train as the reference did; return by name how far what the file has is from the reference's, relatively.

    Of parameters it is the way they went that counts, as six small steps leave most of a weight as it was.

    Args:
        to_forward: Makes of a network what computes it in training.
    """
    golden = np.load(GOLDEN / "training.npz")
    network = xception(10)
    set_weights(network)
    start = _slices(network)
    network.dropout = nn.Dropout(p=0.0)
    schedule = get_lr(4e-5, 4e-5, 4e-3, 1, 3, 2, "linear")
    optimizer = nn.Momentum(network.trainable_params(), Tensor(schedule), 0.9, weight_decay=1e-4)
    loss = CrossEntropySmooth(smooth_factor=0.1, num_classes=10)
    step = nn.TrainOneStepCell(nn.WithLossCell(to_forward(network), loss), optimizer).set_train()
    losses = []
    for k in range(6):
        random = np.random.RandomState(k)
        images = Tensor(random.uniform(-1, 1, (4, 3, 299, 299)).astype(np.float32))
        losses.append(float(step(images, Tensor(random.randint(0, 10, 4).astype(np.int32))).asnumpy()))
    errors = {"losses": np.abs(losses / golden["losses"] - 1).max(), "lr": np.abs(schedule / golden["lr"] - 1).max()}
    errors |= {name: _error(end - start[name], golden[name] - start[name]) for name, end in _slices(network).items()}
    assert errors.keys() == set(golden.files)
    return {name: float(value) for name, value in errors.items()}


def _slices(network: Xception) -> dict[str, np.ndarray]:
    """Return copies of the parts of parameters that the file has."""
    return {
        "fc_weight_head": network.fc.weight.asnumpy()[:, :8].copy(),
        "bn1_moving_mean": network.bn1.moving_mean.asnumpy().copy(),
        "conv1_head": network.conv1.weight.asnumpy().ravel()[:32].copy(),
    }


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(found - expected).max() / np.abs(expected).max()
