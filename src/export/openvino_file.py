"""ONNX files as functions from images to logits, by OpenVINO, which is an optional extra."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from src.export.model_file import ModelFile


def load_openvino(path: Path, is_half: bool = False) -> ModelFile:
    """Load an ONNX file for the CPU.

    Args:
        path: The file.
        is_half: Whether to compute in bfloat16; where the processor has none, a line on stderr says that it is float32.

    Raises:
        ValueError: If OpenVINO is missing, or the file is not there, damaged or no classifier of float32 images.
    """
    runtime = import_openvino()
    if not path.is_file():
        raise ValueError(f"no ONNX file {path}: check the path")
    # By itself it computes in half precision wherever the processor can.
    precision = {"INFERENCE_PRECISION_HINT": "bf16" if is_half else "f32"}
    try:
        network = runtime.Core().compile_model(runtime.Core().read_model(str(path)), "CPU", precision)
        inputs, outputs = list(network.inputs), list(network.outputs)
    except Exception as error:  # its errors have no common type
        raise ValueError(f"cannot load {path}: it is damaged or no ONNX model; {_first_line(error)}") from error
    shape = _shape_of_images(inputs, path)
    if not outputs:
        raise ValueError(f"{path} gives no logits: it has no output")
    if is_half and "f32" in _name_of(network.get_property("INFERENCE_PRECISION_HINT")):
        print(f"OpenVINO computes {path} in float32: this processor has no bfloat16", file=sys.stderr)

    def run(images: np.ndarray) -> np.ndarray:
        return network([images])[outputs[0]]

    return ModelFile(path, run, shape, "CPU")


def import_openvino() -> ModuleType:
    """Return OpenVINO; raise a ValueError that tells how to get it where it is missing."""
    try:
        import openvino
    except ImportError as error:
        message = "openvino, which you ask for, is missing: pip install -r requirements-openvino.txt"
        raise ValueError(message) from error
    return openvino


def _shape_of_images(inputs: list[Any], path: Path) -> tuple[int | None, ...]:
    """Return the shape of the one input, None for an open size; raise if it takes no images."""
    described = ", ".join(f"{_name_of(each.element_type)} {each.partial_shape}" for each in inputs) or "nothing"
    sizes = list(inputs[0].partial_shape) if inputs and inputs[0].partial_shape.rank.is_static else []
    shape = tuple(size.get_length() if size.is_static else None for size in sizes)
    is_float = bool(inputs) and _name_of(inputs[0].element_type) == "f32"
    if len(inputs) != 1 or not is_float or len(shape) != 4 or shape[1] not in (3, None):
        raise ValueError(
            f"{path} takes {described} instead of images, f32 [batch,3,height,width]: export it by export.py "
            "--file_format=ONNX"
        )
    return shape


def _name_of(element_type: Any) -> str:
    """Return OpenVINO's name of a type, such as f32 or bf16."""
    return str(element_type.get_type_name())


def _first_line(error: Exception) -> str:
    """Return the first of its lines that tells something; before it stands where in its code that was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check "))), " ".join(lines))
