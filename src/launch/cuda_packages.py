"""The CUDA libraries of requirements-gpu.txt: what the environment must say for MindSpore to use them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

_CUDA_HOME = Path(__file__).resolve().parents[2] / "scripts" / "cuda_home"
_RUNTIME = "cuda_runtime/lib/libcudart.so.11.0"  # of CUDA 11; packages of CUDA 12 lie in the same folders


def cuda_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which MindSpore finds the CUDA libraries that are installed with this Python.

    They count in a process that starts with them: the system's loader reads LD_LIBRARY_PATH once, and MindSpore looks
    for its GPU plug-in when it is imported, only if CUDA_HOME is set.

    Args:
        environment: The variables so far.

    Returns:
        CUDA_HOME and LD_LIBRARY_PATH; nothing if the environment has a CUDA_HOME, whose libraries count then, or if the
        packages are not installed.
    """
    if environment.get("CUDA_HOME"):
        return {}
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec and spec.submodule_search_locations) or ()]
    if not any((root / _RUNTIME).exists() for root in roots):
        return {}
    folders = [str(folder) for root in roots for folder in sorted(root.glob("*/lib"))]
    earlier = environment.get("LD_LIBRARY_PATH")
    return {
        "CUDA_HOME": str(_CUDA_HOME),
        "LD_LIBRARY_PATH": os.pathsep.join([*folders, earlier] if earlier else folders),
    }
