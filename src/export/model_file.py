"""MINDIR and ONNX files as functions from images to logits: the one by MindSpore, the other by ONNX Runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from src.common.mindspore_log import silenced_logging

# Maps images, float32 (batch, 3, height, width), to logits, float32 (batch, classes).
ToLogits = Callable[[np.ndarray], np.ndarray]

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY = 3  # of ONNX Runtime's log levels

MODEL_SUFFIXES = (".mindir", ".onnx")


@dataclass(frozen=True)
class ModelFile:
    """A network that was loaded from a file.

    Args:
        path: The file.
        run: The network, as far as it is a classifier.
        input_shape: (batch, 3, height, width); None for a size that the file leaves open.
        provider: What runs it: "MindSpore", "CUDAExecutionProvider" or "CPUExecutionProvider".
    """

    path: Path
    run: ToLogits
    input_shape: tuple[int | None, ...]
    provider: str

    @property
    def only_size(self) -> int | None:
        """Side of the square images that it takes; None where it leaves that open, or takes no square ones."""
        sides = set(self.input_shape[2:])
        return sides.pop() if len(self.input_shape) == 4 and len(sides) == 1 else None


def load_model_file(path: Path, device_target: str = "CPU", device_id: int = 0) -> ModelFile:
    """Load a file by the loader of its suffix, which is one of MODEL_SUFFIXES.

    Args:
        path: The file.
        device_target: "Ascend", "GPU" or "CPU": what an ONNX file should run on; a MINDIR runs on the device in use.
        device_id: Index of the device, from 0.

    Raises:
        ValueError: If it is damaged, no model with images as its one input, or what runs it is missing.
        OSError: If it cannot be read.
    """
    return load_onnx(path, device_target, device_id) if path.suffix == ".onnx" else load_mindir(path)


def load_mindir(path: Path) -> ModelFile:
    """Load a MINDIR file of any version that MindSpore takes.

    Args:
        path: The file.

    Raises:
        ValueError: If MindSpore cannot load it.
        OSError: If it cannot be read.
    """
    import mindspore as ms
    from mindspore import Tensor, nn
    from mindspore.train.mind_ir_pb2 import ModelProto

    from src.export.mindir_weights import find_misfit

    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
        (images,) = model.graph.input
        misfit = find_misfit(model)
        with silenced_logging():
            cell = None if misfit else nn.GraphCell(ms.load(str(path)))
    except OSError:
        raise
    except Exception as error:  # protobuf's and MindSpore's own have no common type
        raise ValueError(f"cannot load {path}: it is damaged, or no MINDIR with images as its one input") from error
    if cell is None:
        raise ValueError(f"cannot load {path}: it is damaged, {misfit}")
    return ModelFile(path, lambda batch: cell(Tensor(batch)).asnumpy(), _sizes(images.tensor[0].dims), "MindSpore")


def load_onnx(path: Path, device_target: str = "CPU", device_id: int = 0) -> ModelFile:
    """Load an ONNX file, and say in one line on stderr if it is the CPU that runs it though another device should.

    Args:
        path: The file.
        device_target: "GPU", or "CPU"; ONNX Runtime has no "Ascend" here.
        device_id: Index of the GPU, from 0.

    Raises:
        ValueError: If ONNX Runtime is missing, or the file is not there, damaged or no classifier of float32 images.
    """
    runtime = import_onnxruntime()
    if not path.is_file():
        raise ValueError(f"no ONNX file {path}: check the path")
    on_gpu, reason = _try_gpu(runtime, path, device_id) if device_target == "GPU" else (None, "it has no Ascend")
    try:
        session = on_gpu or _new_session(runtime, path, [_CPU])
    except Exception as error:  # its errors have no common type
        raise ValueError(f"cannot load {path}: it is damaged or no ONNX model; {error}") from error
    shape = _onnx_shape(session.get_inputs(), path)
    if not session.get_outputs():
        raise ValueError(f"{path} gives no logits: it has no output")
    if not on_gpu and device_target != "CPU":
        print(f"ONNX Runtime uses the CPU for {path}: {reason}", file=sys.stderr)
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([output], {name: images})[0]

    return ModelFile(path, run, shape, session.get_providers()[0])


def _try_gpu(runtime: ModuleType, path: Path, device_id: int) -> tuple[Any, str]:
    """Return a session that does run on the GPU, or None and why there is none."""
    if not has_gpu():
        return None, "it finds no GPU (onnxruntime-gpu can use one)"
    try:
        session = _new_session(runtime, path, [(_GPU, {"device_id": device_id}), _CPU])
    except Exception as error:  # noqa: BLE001 - of no common type; a file that is no good fails on the CPU too
        return None, " ".join(str(error).split())
    if session.get_providers()[0] != _GPU:
        return None, f"{_GPU} does not start; the driver, or its version of CUDA and cuDNN, is not there"
    return session, ""


def _new_session(runtime: ModuleType, path: Path, providers: list[Any]) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Its own way of falling back to the CPU prints on stdout, and goes on.
    return runtime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)


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


def _onnx_shape(inputs: Sequence[Any], path: Path) -> tuple[int | None, ...]:
    """Return the shape of the one input; raise if it takes no images."""
    described = ", ".join(f"{each.type} {each.shape}" for each in inputs) or "nothing"
    shape = _sizes(inputs[0].shape) if inputs else ()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] not in (3, None):
        raise ValueError(
            f"{path} takes {described} instead of images, tensor(float) [batch, 3, height, width]: "
            "export it by export.py --file_format=ONNX"
        )
    return shape


def _sizes(dimensions: Iterable[int | str | None]) -> tuple[int | None, ...]:
    """Return sizes; formats write a dynamic one as a name, -1 or nothing."""
    return tuple(size if isinstance(size, int) and size > 0 else None for size in dimensions)
