"""MINDIR and ONNX files as functions from images to logits: the one by MindSpore, the other by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class Sizes:
    """What a model works with.

    Args:
        batch_size: Images in a batch.
        image_size: Height and width of an image in pixels.
        num_classes: Number of classes.
    """

    batch_size: int
    image_size: int
    num_classes: int


def load_model_file(path: Path) -> ModelFile:
    """Load a file by the loader of its suffix, which is one of MODEL_LOADERS.

    Raises:
        ValueError: If it is damaged, no model with images as its one input, or what runs it is missing.
        OSError: If it cannot be read.
    """
    return MODEL_LOADERS[path.suffix](path)


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


def load_onnx(path: Path, on_gpu: bool = False, device_id: int = 0) -> ModelFile:
    """Load an ONNX file.

    Args:
        path: The file.
        on_gpu: Run it on the GPU if ONNX Runtime can, else on the CPU.
        device_id: Index of the GPU, from 0.

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
    shape = _onnx_shape(session.get_inputs(), path)
    if not session.get_outputs():
        raise ValueError(f"{path} gives no logits: it has no output")
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return session.run([output], {name: images})[0]

    return ModelFile(path, run, shape, session.get_providers()[0])


MODEL_LOADERS: Mapping[str, Callable[[Path], ModelFile]] = {".mindir": load_mindir, ".onnx": load_onnx}


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


def find_sizes(model: ModelFile, batch_size: int, image_size: int) -> Sizes:
    """Return the sizes that a classifier of square images works with; it is run once on blank ones.

    Args:
        model: The model.
        batch_size: Images in a batch where the file leaves that open.
        image_size: Height and width in pixels where it leaves these open.

    Raises:
        ValueError: If it takes anything but square RGB images, fails, or gives anything but one row of float32 logits
            for each image.
    """
    shape = model.input_shape
    if len(shape) != 4 or shape[1] not in (3, None) or shape[2] != shape[3]:
        raise ValueError(f"{model.path} takes input of shape {shape}: only (N, 3, H, W) with H = W will do")
    batch, side = shape[0] or batch_size, shape[2] or image_size
    return Sizes(batch, side, _count_classes(model, (batch, 3, side, side)))


def _count_classes(model: ModelFile, input_shape: tuple[int, ...]) -> int:
    try:
        logits = np.asarray(model.run(np.zeros(input_shape, np.float32)))
    except Exception as error:  # those of ONNX Runtime and MindSpore have no common type
        raise ValueError(f"{model.path} fails on images of shape {input_shape}: {error}") from error
    if logits.ndim != 2 or len(logits) != input_shape[0] or not logits.shape[1] or logits.dtype != np.float32:
        raise ValueError(
            f"{model.path} gives {logits.dtype} {list(logits.shape)} for {input_shape[0]} images instead of logits, "
            f"float32 [{input_shape[0]}, classes]"
        )
    return logits.shape[1]


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
