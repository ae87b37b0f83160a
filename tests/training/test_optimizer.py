"""The optimizers make MindSpore's steps, with each parameter's own rate and decay, and go on from a checkpoint."""

from __future__ import annotations

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState, load_training, save_training, set_global_step
from src.checkpoints.weights import load_weights
from src.model_utils.config import Config
from src.training.model import build_optimizer
from src.training.optimizer import Momentum
from tests.helpers.configuration import parse
from tests.helpers.small_network import Small, assert_same, set_random, values

RATES = np.array([0.1, 0.05, 0.2, 0.1], np.float32)
OTHERS = ("nesterov", "adamw", "lamb")
ALL = ("momentum", *OTHERS)
EVERYTHING = ("--weight_decay=0.3", "--weight_decay_filter=norm_and_bias", "--head_lr_scale=3", "--layer_decay=0.5")
DECAYED = {"conv1.weight", "blocks.0.weight", "fc.weight"}
FACTORS = {"conv1": 0.5**14, "bn1": 0.5**14, "blocks": 0.5, "fc": 3.0}  # the others lie in no block: in the exit


def gradients_of(network: nn.Cell, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=parameter.shape).astype(np.float32) for parameter in network.trainable_params()]


def twins() -> tuple[Small, Small]:
    """Return two networks with the same random weights."""
    networks = Small(), Small()
    set_random(networks[0].get_parameters())
    for ours, theirs in zip(*(network.get_parameters() for network in networks), strict=True):
        theirs.set_data(ours.value())
    return networks


def configuration(optimizer: str, *words: str) -> Config:
    return parse(f"--optimizer={optimizer}", "--lr_max=0.2", *words)


def take_steps(optimizer: nn.Optimizer, network: nn.Cell, seeds: range) -> None:
    for seed in seeds:
        optimizer(tuple(Tensor(gradient) for gradient in gradients_of(network, seed)))


@pytest.mark.parametrize("in_groups", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_its_steps_are_mindspores(in_groups, decay):
    networks = twins()
    for network, kind in zip(networks, (Momentum, nn.Momentum), strict=True):
        parameters = network.trainable_params()
        if in_groups:
            parameters = [{"params": parameters[:3], "weight_decay": 0.3}, {"params": parameters[3:]}]
        optimizer = kind(parameters, 0.1, 0.9, decay, loss_scale=4.0)
        take_steps(optimizer, network, range(2))
    assert_same(values(networks[0]), values(networks[1]))


@pytest.mark.parametrize("words", [(), EVERYTHING])
def test_a_training_of_one_step_has_no_warning_of_its_rate(monkeypatch, words):
    warned = []
    monkeypatch.setattr(ms.log, "warning", lambda *message: warned.append(message))
    network = twins()[0]
    optimizer = build_optimizer(configuration("momentum", *words), network, RATES[:1])
    before = values(network)
    take_steps(optimizer, network, range(1))
    assert warned == []
    moved = values(network)["fc.bias"] - before["fc.bias"]
    factor = FACTORS["fc"] if words else 1.0
    decayed = gradients_of(network, 0)[-1] + (0.0 if words else 1e-4 * before["fc.bias"])
    assert moved == pytest.approx(-factor * RATES[0] * decayed, rel=1e-4)


def expected(optimizer: str, weight: np.ndarray, gradients: list[np.ndarray], factor: float, decay: float):
    """Return a weight after steps with these gradients, as the formulas in MindSpore's documentation have it."""
    first = second = np.zeros_like(weight, np.float64)
    weight = weight.astype(np.float64)
    for step, (gradient, base) in enumerate(zip(gradients, RATES, strict=False), start=1):
        rate = base * factor
        if optimizer in ("momentum", "nesterov"):
            gradient = gradient + decay * weight
            first = 0.9 * first + gradient
            weight = weight - rate * (gradient + 0.9 * first if optimizer == "nesterov" else first)
            continue
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        if optimizer == "adamw":
            weight = weight - rate * (first / (np.sqrt(second) + 1e-6) + decay * weight)
            continue
        mean, square = first / (1 - 0.9**step), second / (1 - 0.999**step)
        update = mean / (np.sqrt(square) + 1e-6) + decay * weight
        norms = [np.linalg.norm(each) for each in (weight, mean / np.sqrt(square + 1e-6) + decay * weight)]
        weight = weight - min(norms[0] / norms[1] if all(norms) else 1, 10) * rate * update
    return weight


@pytest.mark.parametrize("words", [(), EVERYTHING])
@pytest.mark.parametrize("optimizer", ALL)
def test_each_parameter_goes_by_the_formula_with_its_own_rate_and_decay(optimizer, words):
    network, _ = twins()
    network.bn1.beta.set_data(Tensor(np.zeros(2, np.float32)))  # as it begins: its norm is no measure of a step
    before = values(network)
    built = build_optimizer(configuration(optimizer, *words), network, RATES)
    take_steps(built, network, range(3))
    steps = list(zip(*(gradients_of(network, seed) for seed in range(3)), strict=True))
    for parameter, gradients in zip(network.trainable_params(), steps, strict=True):
        name = parameter.name
        factor = FACTORS[name.partition(".")[0]] if words else 1.0
        decay = 0.3 * (name in DECAYED) if words else 0.0001 * (not name.startswith("bn1"))
        wanted = expected(optimizer, before[name], list(gradients), factor, decay)
        np.testing.assert_allclose(parameter.asnumpy(), wanted, rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("optimizer", ALL)
def test_a_training_goes_on_from_a_checkpoint_to_the_last_bit(optimizer, tmp_path):
    networks = twins()
    states = []
    for network in networks:
        built = build_optimizer(configuration(optimizer, *EVERYTHING), network, RATES)
        states.append(TrainingState(network, built))
    take_steps(states[0].optimizer, networks[0], range(2))
    save_training(tmp_path / "a.ckpt", states[0])
    take_steps(states[0].optimizer, networks[0], range(2, 4))
    assert load_training(states[1], tmp_path / "a.ckpt")[1]
    set_global_step(states[1].optimizer, 2)
    take_steps(states[1].optimizer, networks[1], range(2, 4))
    assert_same(values(networks[0]), values(networks[1]))


@pytest.mark.parametrize(
    ("before", "now", "names"),
    [("momentum", "adamw", "momentum or nesterov"), ("adamw", "lamb", "adamw"), ("lamb", "momentum", "lamb")],
)
def test_the_state_of_another_optimizer_is_refused_with_what_to_do(before, now, names, tmp_path):
    networks = twins()
    optimizers = [
        build_optimizer(configuration(name), network, RATES)
        for name, network in zip((before, now), networks, strict=True)
    ]
    path = tmp_path / "a.ckpt"
    save_training(path, TrainingState(networks[0], optimizers[0]))
    set_random(networks[1].get_parameters())
    kept = values(networks[1], optimizers[1])
    message = (
        f"{path} was trained with the optimizer {names}: go on with that, or start a new training from its weights by "
        f"--pretrained={path}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_training(TrainingState(networks[1], optimizers[1]), path)
    assert_same(kept, values(networks[1], optimizers[1]))


@pytest.mark.parametrize("optimizer", OTHERS)
def test_weights_of_every_optimizer_can_be_read_without_its_state(optimizer, tmp_path):
    networks = twins()
    built = build_optimizer(configuration(optimizer), networks[0], RATES)
    take_steps(built, networks[0], range(1))
    save_training(tmp_path / "a.ckpt", TrainingState(networks[0], built))
    load_weights(networks[1], tmp_path / "a.ckpt")
    assert_same(values(networks[0]), values(networks[1]))
    assert ms.load_checkpoint(str(tmp_path / "a.ckpt")).keys() > values(networks[0]).keys()
