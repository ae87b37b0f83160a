"""The operators in C++ for training on CPU: values and gradients are MindSpore's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.cpu.cells import BatchNorm, BatchNormParameters, BatchNormReluDepthwise, Convolution, Depthwise, MaxPool
from src.cpu.operators import use_cpu_operators
from src.training.fine_tuning import freeze
from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, xception
from tests.helpers.project import ROOT
from tests.helpers.training_run import options, run

pytestmark = pytest.mark.slow


class Gradients(nn.Cell):
    """The output of a network and the gradients of its input and weights, weighted by `sens`."""

    def __init__(self, network: nn.Cell):
        super().__init__()
        self.network = network
        self.gradient = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
        self.weights = ms.ParameterTuple(network.trainable_params())

    def construct(self, x, sens):
        return self.network(x), self.gradient(self.network, self.weights)(x, sens)


def compute(network: nn.Cell, x: np.ndarray, sens: np.ndarray) -> list[np.ndarray]:
    output, (inputs, weights) = Gradients(network)(Tensor(x), Tensor(sens))
    return [value.asnumpy() for value in (output, *inputs, *weights)]


def depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, pad_mode="pad", padding=1, group=channels)


@pytest.mark.parametrize("after_relu", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 19, 19), (1, 8, 10, 13), (3, 5, 1, 1), (2, 4, 2, 37), (1, 1, 40, 3)])
def test_the_depthwise_convolution_and_its_gradients_are_mindspores(library, shape, after_relu):
    random = np.random.default_rng(sum(shape))
    x, sens = (random.standard_normal(shape).astype(np.float32) for _ in range(2))
    x.flat[0] = 0.0  # where the ReLU has no derivative, its gradient is 0
    convolution = depthwise(shape[1])
    theirs = nn.SequentialCell(nn.ReLU(), convolution) if after_relu else convolution
    expected = compute(theirs, x, sens)
    for ours, value in zip(compute(Depthwise(library, convolution, after_relu), x, sens), expected, strict=True):
        np.testing.assert_allclose(ours, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2)])
@pytest.mark.parametrize("shape", [(2, 3, 19, 19), (1, 8, 10, 13), (3, 5, 3, 3), (2, 4, 3, 38)])
def test_the_other_convolutions_and_their_gradients_are_mindspores(library, shape, kernel, stride):
    random = np.random.default_rng(sum(shape))
    convolution = nn.Conv2d(shape[1], 7, kernel, stride, pad_mode="valid")
    x = random.standard_normal(shape).astype(np.float32)
    sens = random.standard_normal(convolution(Tensor(x)).shape).astype(np.float32)
    expected = compute(convolution, x, sens)
    for ours, value in zip(compute(Convolution(library, convolution), x, sens), expected, strict=True):
        np.testing.assert_allclose(ours, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 19, 19), (1, 4, 74, 37), (2, 2, 10, 10), (1, 3, 1, 2), (1, 2, 3, 4)])
def test_the_max_pooling_and_its_gradient_are_mindspores_also_among_equal_values(library, shape):
    random = np.random.default_rng(sum(shape))
    x = random.integers(-3, 3, shape).astype(np.float32)
    theirs = nn.MaxPool2d(3, 2, pad_mode="same")
    sens = random.integers(1, 9, theirs(Tensor(x)).shape).astype(np.float32)
    for ours, expected in zip(compute(MaxPool(library), x, sens), compute(theirs, x, sens), strict=True):
        np.testing.assert_array_equal(ours, expected)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    random = np.random.default_rng(channels)
    gamma, beta = (Tensor(random.uniform(low, 2, channels).astype(np.float32)) for low in (0.5, -2))
    return nn.BatchNorm2d(channels, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, gamma_init=gamma, beta_init=beta)


@pytest.mark.parametrize("with_depthwise", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 19, 19), (8, 5, 10, 13), (3, 4, 1, 1), (1, 6, 2, 1), (1, 1, 147, 147)])
def test_batch_norm_its_gradients_and_its_statistics_are_mindspores(library, shape, with_depthwise, capfd):
    random = np.random.default_rng(sum(shape))
    x, sens = (random.standard_normal(shape).astype(np.float32) * 3 + offset for offset in (5, 0))
    theirs, replaced, convolution = batch_norm(shape[1]), batch_norm(shape[1]), depthwise(shape[1])
    expected = theirs
    ours: nn.Cell = BatchNorm(library, replaced)
    if with_depthwise:
        expected = nn.SequentialCell(theirs, nn.ReLU(), convolution)
        parameters = BatchNormParameters(replaced)
        ours = nn.SequentialCell(parameters, BatchNormReluDepthwise(library, parameters, convolution))
    for found, value in zip(compute(ours.set_train(), x, sens), compute(expected.set_train(), x, sens), strict=True):
        assert np.linalg.norm(found - value) <= 1e-5 * (np.linalg.norm(value) + np.linalg.norm(sens))
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(getattr(replaced, name).asnumpy(), getattr(theirs, name).asnumpy(), rtol=1e-5)
    assert "WARNING" not in "".join(capfd.readouterr())  # MindSpore's compiler would speak of lost updates
    evaluated = [cell.set_train(False)(Tensor(x)).asnumpy() for cell in (ours, expected)]
    np.testing.assert_allclose(*evaluated, rtol=1e-4, atol=1e-4)


def test_the_operators_have_the_networks_constants_of_batch_norm():
    header = (SOURCE.parent / "batch_norm.h").read_text(encoding="utf-8")
    constants = {name: float(value) for name, value in re.findall(r"constexpr float (\w+) = ([\d.e-]+)F;", header)}
    assert constants == {"kEpsilon": BATCH_NORM_EPSILON, "kMomentum": BATCH_NORM_MOMENTUM, "kNewShare": 0.1}


@pytest.mark.parametrize(("epsilon", "momentum"), [(1e-3, 0.9), (1e-5, 0.99)])
def test_a_batch_norm_of_another_epsilon_or_momentum_is_refused(library, epsilon, momentum):
    network = xception(5)
    network.block7.rep[2] = nn.BatchNorm2d(728, epsilon, momentum)
    with pytest.raises(ValueError, match=f"but this one has {epsilon} and {momentum}: set --cpu_operators=none$"):
        use_cpu_operators(network, library)


def two_networks(library: Path, frozen: str, pool_padding: str = "same") -> tuple[nn.Cell, nn.Cell]:
    """The same network twice, the second one with the operators."""
    networks = []
    for _ in range(2):
        ms.set_seed(0)
        networks.append(xception(5, pool_padding))
        for name, parameter in networks[-1].parameters_and_names():
            if name.endswith("beta"):  # far from zero, where rounding would turn a ReLU and the gradient with it
                parameter.set_data(ms.ops.ones_like(parameter) * 6)
        networks[-1].dropout = nn.Dropout(p=0.0)
        freeze(networks[-1], frozen)
    use_cpu_operators(networks[1], library)
    return networks[0], networks[1]


@pytest.mark.parametrize(
    ("train", "frozen", "pool_padding"),
    [(False, "none", "symmetric"), (True, "none", "same"), (True, "conv|bn|block[1-6]\\.", "same")],
)
def test_the_network_keeps_its_parameters_its_logits_and_its_gradients(library, train, frozen, pool_padding):
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (2, 3, 72, 75)).astype(np.float32)
    network, faster = two_networks(library, frozen, pool_padding)
    names = [parameter.name for parameter in network.get_parameters()]
    assert [parameter.name for parameter in faster.get_parameters()] == names
    assert ms.load_param_into_net(faster, network.parameters_dict()) == ([], [])
    sens = random.standard_normal((2, 5)).astype(np.float32)
    expected = compute(network.set_train(train), images, sens)
    found = compute(faster.set_train(train), images, sens)
    largest = max(np.linalg.norm(value) for value in expected)
    for ours, value in zip(found, expected, strict=True):
        # Rounding may move the maximum of a window, and is all there is of gradients that batch norm makes 0.
        assert np.linalg.norm(ours - value) <= 5e-3 * np.linalg.norm(value) + 1e-6 * largest
    for name, statistics in network.parameters_dict().items():
        if "moving" in name:
            np.testing.assert_allclose(faster.parameters_dict()[name].asnumpy(), statistics.asnumpy(), rtol=1e-4)


def test_a_training_with_the_operators_uses_all_instructions_and_no_reference_convolution(
    few_digits, monkeypatch, tmp_path
):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")  # the tests' own choice
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    words = ["--epoch_size=1", "--ema_decay=0.9", "--eval_while_train=True"]
    result = run("train.py", options(few_digits, tmp_path / "out", *words), tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    convolutions = [line.split(",") for line in lines if ",exec,cpu,convolution," in line]
    assert convolutions
    assert not [line for line in convolutions if "ref" in line[6]]
    instructions = next(line for line in lines if ",info,cpu,isa:" in line)
    assert ("AVX-512" in instructions) == ("avx512dq" in Path("/proc/cpuinfo").read_text())


SOURCE = ROOT / "src" / "cpu" / "kernels" / "operators.cc"


def test_the_source_has_no_warnings():
    command = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fopenmp-simd", "-fsyntax-only"]
    subprocess.run([*command, SOURCE], check=True)


def test_the_operators_stay_within_their_tensors_and_fill_them_also_where_no_thread_can_start(tmp_path):
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS"]
    command = ["c++", "-std=c++17", "-O1", "-g", "-fPIC", "-shared", "-pthread", *sanitizers, SOURCE]
    subprocess.run([*command, "-o", tmp_path / "operators.so"], check=True)
    # The sanitizer looks for what throws exceptions when the process begins; Python has no such library.
    runtime = [
        subprocess.run(["c++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    # Python itself leaks some memory at its end.
    variables = {**os.environ, "LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    script = ROOT / "tests" / "helpers" / "sanitized_operators.py"
    result = subprocess.run(
        [sys.executable, script, tmp_path / "operators.so"], env=variables, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
