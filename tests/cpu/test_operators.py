"""The operators in C++ for training on CPU: values, gradients and moving statistics are MindSpore's."""

from __future__ import annotations

import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.cpu.cells import Operators
from src.cpu.operators import CpuXception
from src.Xception import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, xception
from tests.helpers.cpu_parts import CASES, compute, error
from tests.helpers.deterministic import set_weights
from tests.helpers.project import ROOT
from tests.helpers.training_run import options, run

pytestmark = pytest.mark.slow

@pytest.mark.parametrize("name", CASES)
def test_a_part_has_mindspores_values_gradients_and_moving_statistics(library, name, capfd):
    expected, found = (compute(CASES[name], 1, operators) for operators in (None, Operators(library, False)))
    assert found.keys() == expected.keys() and "y" in found
    assert {key: error(found[key], value) for key, value in expected.items() if error(found[key], value) > 1e-5} == {}
    assert "WARNING" not in "".join(capfd.readouterr())  # MindSpore's compiler would speak of lost updates
