"""The operators in C++ for training on CPU: values, gradients and moving statistics are MindSpore's."""

from __future__ import annotations

import pytest

from src.cpu.cells import Operators
from tests.helpers.cpu_parts import CASES, compute, error

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_a_part_has_mindspores_values_gradients_and_moving_statistics(library, name, capfd):
    expected, found = (compute(CASES[name], 1, operators) for operators in (None, Operators(library, False)))
    assert found.keys() == expected.keys() and "y" in found
    assert {key: error(found[key], value) for key, value in expected.items() if error(found[key], value) > 1e-5} == {}
    assert "WARNING" not in "".join(capfd.readouterr())  # MindSpore's compiler would speak of lost updates
