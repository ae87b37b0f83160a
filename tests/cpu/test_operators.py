"""The operators in C++ for training on CPU: values, gradients and moving statistics are MindSpore's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.cpu.cells import Operators
from src.cpu.operators import CpuXception, readable_failures
from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, xception
from tests.helpers.cpu_parts import CASES, compute, error
from tests.helpers.deterministic import set_weights
from tests.helpers.golden_training import six_steps
from tests.helpers.project import ROOT
from tests.helpers.training_run import options, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_a_part_has_mindspores_values_gradients_and_moving_statistics(library, name, capfd):
    expected, found = (compute(CASES[name], 1, operators) for operators in (None, Operators(library, False)))
    assert found.keys() == expected.keys() and "y" in found
    assert {key: error(found[key], value) for key, value in expected.items() if error(found[key], value) > 1e-5} == {}
    assert "WARNING" not in "".join(capfd.readouterr())  # MindSpore's compiler would speak of lost updates


def test_nan_and_infinity_come_out_where_they_come_from_mindspores_layers(library):
    case = replace(CASES["strided block"], frozen="rep.*(gamma|beta)|skipbn")  # else one would spread to all images
    images = np.random.default_rng(0).standard_normal(case.sizes).astype(np.float32)
    places = [(0, 0, 2, 3), (0, 3, 5, 5), (1, 1, 4, 4), (1, 2, 1, 1), (1, 5, 2, 2)]
    for place, value in zip(places, [np.nan, np.inf, -np.inf, -0.0, 1e-40], strict=True):
        images[place] = value
    expected, found = (compute(case, 1, each, x=images)["y"] for each in (None, Operators(library, False)))
    assert np.isnan(found[0]).any() and np.isfinite(found[2]).all()
    assert not (
        np.isfinite(found) & ~np.isfinite(expected)
    ).any()  # MindSpore's ReLU makes 0 of NaN, the operators do not
    assert error(found[np.isfinite(found)], expected[np.isfinite(found)]) < 1e-5


@pytest.fixture(scope="module")
def in_half(library) -> dict[str, dict[str, float]]:
    """How far the operators in bfloat16 are from MindSpore's layers, by part and tensor."""
    if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no bfloat16")
    environment = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    command = [sys.executable, ROOT / "tests" / "helpers" / "half_operators.py", library]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_in_bfloat16_a_part_is_as_near_as_eight_bits_allow(in_half):
    for name in CASES:
        # Rounding moves maxima within the windows of a pooling, and with them gradients.
        allowed = 0.3 if "stride" in name or "first" in name else 0.04
        far = {key: value for key, value in in_half[name].items() if not value < (0.01 if key == "y" else allowed)}
        # The first norm's beta has a gradient that is 0 but for rounding.
        assert far.keys() <= ({"bn1.beta"} if name == "stem" else set()), (name, far)


def test_in_bfloat16_six_training_steps_are_near_the_references(in_half):
    assert in_half["golden"]["losses"] < 1e-2
    assert in_half["golden"]["bn1_moving_mean"] < 1e-3


def test_six_training_steps_with_the_operators_equal_the_references(library):
    allowed = {"losses": 1e-3, "lr": 1e-6, "fc_weight_head": 3e-3, "bn1_moving_mean": 1e-4, "conv1_head": 0.2}
    errors = six_steps(lambda network: CpuXception(network, Operators(library, False)))
    assert {name: value for name, value in errors.items() if not value <= allowed[name]} == {}


def test_the_operators_have_the_networks_constants_of_batch_norm():
    header = (ROOT / "src" / "cpu" / "native" / "batch_norm.h").read_text(encoding="utf-8")
    constants = {name: float(value) for name, value in re.findall(r"constexpr \w+ (k\w+) = ([\d.e-]+)F?;", header)}
    expected = {"kEpsilon": BATCH_NORM_EPSILON, "kMomentum": BATCH_NORM_MOMENTUM, "kNewShare": 0.1}
    assert expected.items() <= constants.items()


@pytest.mark.parametrize(("epsilon", "momentum"), [(1e-3, 0.9), (1e-5, 0.99)])
def test_a_batch_norm_of_another_epsilon_or_momentum_is_refused(library, epsilon, momentum):
    network = xception(5)
    network.block7.rep[2] = nn.BatchNorm2d(728, epsilon, momentum)
    with pytest.raises(ValueError, match=f"but this one has {epsilon} and {momentum}: set --cpu_operators=none$"):
        CpuXception(network, Operators(library, False))


def test_in_evaluation_and_by_name_the_network_is_the_ordinary_one(library):
    network = xception(5, "symmetric")
    set_weights(network)
    names = [parameter.name for parameter in network.get_parameters()]
    faster = CpuXception(network, Operators(library, False))
    assert [parameter.name for parameter in faster.get_parameters()] == names
    assert [parameter.name for parameter in network.get_parameters()] == names
    images = Tensor(np.random.default_rng(0).uniform(-1, 1, (1, 3, 71, 75)).astype(np.float32))
    faster.set_train(False)
    assert np.array_equal(faster(images).asnumpy(), network(images).asnumpy())
    with pytest.raises(ValueError, match="takes images of at least 71 x 71"):
        faster.set_train()(ops.zeros((1, 3, 70, 71)))


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


def test_an_operator_that_fails_is_told_in_one_line(tmp_path):
    source = """
    int BlockForward(void) { return 1; }
    const char *XceptionOperatorFailure(void) { return "BlockForward in C++ fails: there is not enough memory"; }
    """
    (tmp_path / "made.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "made.c", "-o", tmp_path / "made.so"], check=True)
    message = "^BlockForward in C.. fails: there is not enough memory$"
    with pytest.raises(ValueError, match=message), readable_failures(tmp_path / "made.so"):
        compute(CASES["middle block"], 1, Operators(tmp_path / "made.so", False))
