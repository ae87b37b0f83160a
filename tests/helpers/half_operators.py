"""Print as JSON how far the operators of LIBRARY in bfloat16 are from MindSpore's layers and the golden training.

In a process of its own: tests keep oneDNN to AVX2, which has no bfloat16.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mindspore as ms

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.cpu.cells import Operators
from src.cpu.operators import CpuXception
from tests.helpers.cpu_parts import CASES, compute, error
from tests.helpers.golden_training import six_steps


def main(library: str) -> None:
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE)
    operators = Operators(Path(library), True)
    errors = {"golden": six_steps(lambda network: CpuXception(network, operators))}
    for name, case in CASES.items():
        expected, found = (compute(case, 1, each, beta=6) for each in (None, operators))
        errors[name] = {key: error(found[key], value) for key, value in expected.items()}
    print(json.dumps(errors))


if __name__ == "__main__":
    main(*sys.argv[1:])
