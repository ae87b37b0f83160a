"""What the project is compared with: other runtimes and frameworks, and other checkouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from src.model_utils.config import ConfigError
from src.model_utils.eval_engine import ONNX, OPENVINO
from tools.benchmarks.variants import Variant, run_to_end

TORCH = "torch"
_MODULES = {ONNX: "onnxruntime", OPENVINO: "openvino", TORCH: "torch"}
_NAMES = {ONNX: "ONNX Runtime", OPENVINO: "OpenVINO", TORCH: "PyTorch"}
ON_CPU = frozenset({OPENVINO, TORCH})
_EVALUATIONS = ("evaluation", "predict")
_WORKS = {ONNX: _EVALUATIONS, OPENVINO: _EVALUATIONS, TORCH: (*_EVALUATIONS, "training")}


def check_peers(against: Sequence[str], device: str) -> None:
    """Raise a ConfigError if something cannot be compared with on this machine.

    Args:
        against: Names of peers, or folders of checkouts.
        device: What the project is to compute on.
    """
    for each in against:
        if each in _MODULES:
            if find_spec(_MODULES[each]) is None:
                raise ConfigError(f"{_MODULES[each]} is missing: pip install -r requirements-benchmark.txt")
            if device != "CPU" and each in ON_CPU:
                raise ConfigError(f"--against={each} compares on CPU: use --device_target=CPU, not {device}")
        elif not Path(each, "tools/benchmarks/worker.py").is_file():
            raise ConfigError(
                f"--against takes {', '.join(_MODULES)} or the folder of a checkout with tools/benchmarks: {each}"
            )


def is_peer(name: str) -> bool:
    """Tell whether a variant of a name computes by something else than the project, in any of its versions."""
    return name in _NAMES.values()


def peers_of(own: Variant, against: Sequence[str], is_half: bool, folder: Path) -> Iterator[Variant]:
    """Return what the project's variant is compared with in its workload and precision.

    Args:
        own: The project's variant.
        against: As check_peers takes it.
        is_half: Whether it computes in half precision, which ONNX Runtime does not on CPU.
        folder: Folder for what the peers need.
    """
    model, exchange = folder.absolute() / "network.onnx", folder.absolute() / "exchange.npz"
    for each in against:
        if each not in _MODULES:
            root = Path(each).absolute()
            yield replace(own, name=root.name, root=root)
        elif own.workload in _WORKS[each] and not (is_half and each == ONNX):
            path, name = (exchange, "exchange") if each == TORCH else (model, "onnx_path")
            words = [*own.options, f"--{name}={path}"]
            if not path.exists():
                run_to_end(replace(own, options=[*words, "--for_peer"], device="CPU"), folder / name)
            engine = [] if each == TORCH else [f"--eval_engine={each}"]
            yield replace(own, name=_NAMES[each], options=[*words, *engine])
