"""Steps of training: accumulated, clipped and averaged as their formulas say."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.loss import CrossEntropySmooth
from src.model_utils.config import parse_config
from src.training.dropout import ReplayableDropout
from src.training.model import build_optimizer
from src.training.step import TrainingStep, WeightAverage, follow

pytestmark = pytest.mark.slow

RATE = 0.1


class Small(nn.Cell):
    """A network with each kind of parameter; `norm` couples the images of a batch."""

    def __init__(self, norm: bool = False, dropout: nn.Cell | None = None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, weight_init="xavier_uniform")
        self.bn = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.dropout = dropout or nn.Identity()
        self.fc = nn.Dense(4, 5)

    def construct(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(ms.ops.mean(ms.ops.relu(self.bn(self.conv(x))), (2, 3))))


def build(scale: float = 1.0, decay: float = 0.0, network: Small | None = None, **options) -> tuple:
    """Return a network of fixed weights, its optimizer, its average and its training step."""
    network = network or Small()
    random = np.random.default_rng(1)
    for parameter in network.trainable_params():
        parameter.set_data(Tensor(random.normal(size=parameter.shape), ms.float32))
    optimizer = nn.Momentum(network.trainable_params(), RATE, 0.9, loss_scale=scale)
    averaged = follow(Small(isinstance(network.bn, nn.BatchNorm2d)), network)
    average = WeightAverage(averaged, network, decay) if decay else None
    network_and_loss = nn.WithLossCell(network, CrossEntropySmooth(num_classes=5))
    step = TrainingStep(network_and_loss, optimizer, scale, average=average, **options).set_train()
    return network, optimizer, averaged, step


def values(cell: nn.Cell) -> dict[str, np.ndarray]:
    return {p.name.removeprefix("ema."): p.asnumpy().copy() for p in cell.get_parameters() if "dropout" not in p.name}


def batch(seed: int, *count: int) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    images = random.normal(size=(*count, 3, 6, 6)).astype(np.float32)
    return Tensor(images), Tensor(random.integers(0, 5, count).astype(np.int32))


def difference(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> float:
    """Return the largest difference of two sets of weights, relative to each weight's largest value."""
    assert left.keys() == right.keys()
    return max(np.abs(left[name] - right[name]).max() / np.abs(right[name]).max() for name in left)


def norm(moves: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum((move.astype(np.float64) ** 2).sum() for move in moves.values())))


def test_without_options_it_is_the_step_of_mindspore():
    network, *_, step = build(1024.0, network=Small(True))
    other, optimizer, *_ = build(1024.0, network=Small(True))
    network_and_loss = nn.WithLossCell(other, CrossEntropySmooth(num_classes=5))
    reference = nn.TrainOneStepCell(network_and_loss, optimizer, 1024.0).set_train()
    for seed in range(3):
        assert step(*batch(seed, 8)).asnumpy() == pytest.approx(reference(*batch(seed, 8)).asnumpy(), rel=1e-6)
    assert difference(values(network), values(other)) < 1e-6


def test_accumulated_micro_batches_make_the_step_of_one_large_batch():
    network, optimizer, _, step = build(1024.0, micro_batches=4)
    other, *_, reference = build(1024.0)
    before = values(network)
    for seed in range(3):
        images, labels = batch(seed, 4, 2)
        loss = step(images, labels).asnumpy()
        expected = reference(images.reshape(8, 3, 6, 6), labels.reshape(8)).asnumpy()
        assert loss == pytest.approx(expected, rel=1e-5)
    assert difference(values(network), values(other)) < 1e-5
    assert difference(values(network), before) > 1e-2
    assert optimizer.global_step.asnumpy().tolist() == [3]  # which is what the schedule counts


def test_each_micro_batch_has_its_own_dropout_mask():
    def dropout(micro_batches: int, size: int) -> ReplayableDropout:
        return ReplayableDropout(0.5, (size, 4), (1, 0), micro_batches)

    parts, whole = dropout(4, 2), dropout(1, 8)
    network, *_, step = build(network=Small(dropout=parts), micro_batches=4, micro_batch=parts.micro_batch)
    other, *_, reference = build(network=Small(dropout=whole))
    for seed in range(3):
        parts.draw(seed)
        whole.draw(seed)
        assert np.array_equal(parts.mask.asnumpy().reshape(8, 4), whole.mask.asnumpy()[0])
        images, labels = batch(seed, 4, 2)
        loss = step(images, labels).asnumpy()
        assert loss == pytest.approx(reference(images.reshape(8, 3, 6, 6), labels.reshape(8)).asnumpy(), rel=1e-5)
    assert difference(values(network), values(other)) < 1e-5


def test_clipping_shortens_long_gradients_to_its_norm_and_leaves_short_ones():
    moves = []
    for limit in (0.0, 0.01, 1e3):
        network, *_, step = build(1024.0, clip_norm=limit)
        before = values(network)
        step(*batch(0, 8))
        moves.append({name: value - before[name] for name, value in values(network).items()})
    free, clipped, short = moves
    assert norm(free) > 2 * RATE * 0.01
    assert norm(clipped) == pytest.approx(RATE * 0.01, rel=1e-3)
    factor = norm(clipped) / norm(free)
    assert all(np.allclose(clipped[name], factor * free[name], atol=1e-3 * norm(clipped)) for name in free)
    assert all(np.allclose(short[name], free[name], rtol=1e-5, atol=1e-8) for name in free)


def test_the_average_follows_weights_and_statistics_after_each_step():
    network, _, averaged, step = build(decay=0.75, network=Small(True), micro_batches=2)
    expected = values(network)
    assert all(np.array_equal(value, expected[name]) for name, value in values(averaged).items())
    for seed in range(4):
        step(*batch(seed, 2, 4))
        expected = {name: 0.75 * expected[name] + 0.25 * value for name, value in values(network).items()}
        assert difference(values(averaged), expected) < 1e-5
    assert {"bn.moving_mean", "bn.moving_variance"} < expected.keys()
    assert difference(values(averaged), values(network)) > 1e-3


# What the optimizer decays


@pytest.mark.parametrize("level", ["O0", "O2"])
@pytest.mark.parametrize(
    ("words", "exempt"),
    [
        ([], {"bn.gamma", "bn.beta"}),
        (["--weight_decay_filter=norm_and_bias"], {"bn.gamma", "bn.beta", "fc.bias"}),
        (["--weight_decay_filter=disable"], set()),
    ],
)
def test_weight_decay_spares_what_the_filter_says(words, exempt, level):
    network, *_ = build(network=Small(True))
    config = parse_config(["--weight_decay=0.5", f"--amp_level={level}", *words], lambda _: "CPU")
    optimizer = build_optimizer(config, network, np.full(1, 0.1, np.float32))
    names = [parameter.name for parameter in network.trainable_params()]
    assert [moment.name for moment in optimizer.moments] == [f"moments.{name}" for name in names]
    before = values(network)
    optimizer(tuple(Tensor(np.zeros(p.shape, np.float32)) for p in network.trainable_params()))
    for name in names:
        factor = 1.0 if name in exempt else 1 - 0.1 * 0.5
        assert np.allclose(values(network)[name], factor * before[name], rtol=1e-5), name
