"""ONNX files as functions from images to logits, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY = 3  # of ONNX Runtime's log levels


@dataclass(frozen=True)
class OnnxModel:
    """A classifier that was loaded from an ONNX file.

    Args:
        run: Maps images, float32 (batch, 3, height, width), to logits, float32 (batch, classes).
        input_shape: (batch, 3, height, width); None for a size that the file leaves open.
        provider: What runs it: "CUDAExecutionProvider" or "CPUExecutionProvider".
    """

    run: Callable[[np.ndarray], np.ndarray]
    input_shape: tuple[int | None, ...]
    provider: str


def import_onnxruntime() -> ModuleType:
    """Return ONNX Runtime; raise a ValueError that tells how to get it where it is missing."""
    try:
        import onnxruntime
    except ImportError as error:
        message = "onnxruntime, which runs ONNX files, is missing: pip install -r requirements-onnx.txt"
        raise ValueError(message) from error
    return onnxruntime


def has_gpu() -> bool:
    """Tell whether the installed ONNX Runtime can use an NVIDIA GPU; without ONNX Runtime it cannot."""
    try:
        return _GPU in import_onnxruntime().get_available_providers()
    except ValueError:
        return False


def load_onnx(path: Path, on_gpu: bool = False, device_id: int = 0) -> OnnxModel:
    """Load an ONNX file.

    Args:
        path: The file.
        on_gpu: Run it on the GPU if ONNX Runtime can, else on the CPU.
        device_id: Index of the GPU, from 0.

    Returns:
        The model.

    Raises:
        ValueError: If ONNX Runtime is missing, or the file is not there, damaged or no classifier of float32 images.
    """
    runtime = import_onnxruntime()
    if not path.is_file():
        raise ValueError(f"no ONNX file {path}: check the path")
    providers: list[Any] = [(_GPU, {"device_id": device_id})] if on_gpu and has_gpu() else []
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = runtime.InferenceSession(str(path), options, providers=[*providers, _CPU])
    except Exception as error:  # its errors have no common type
        raise ValueError(f"cannot load {path}: it is damaged or no ONNX model; {error}") from error
    shape = _input_shape(session.get_inputs(), path)
    if not session.get_outputs():
        raise ValueError(f"{path} gives no logits: it has no output")
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([output], {name: images})[0]

    return OnnxModel(run, shape, session.get_providers()[0])


def _input_shape(inputs: Sequence[Any], path: Path) -> tuple[int | None, ...]:
    """Return the shape of the one input; raise if it takes no images."""
    described = ", ".join(f"{each.type} {each.shape}" for each in inputs) or "nothing"
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape) if inputs else ()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] not in (3, None):
        raise ValueError(
            f"{path} takes {described} instead of images, tensor(float) [batch, 3, height, width]: "
            "export it by export.py --file_format=ONNX"
        )
    return shape
