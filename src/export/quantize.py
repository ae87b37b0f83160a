"""ONNX files in INT8 for CPUs: ONNX Runtime's own static quantisation, with ranges that it finds on images."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from src.common.files import atomic_write
from src.export.model_file import import_onnxruntime
from src.metadata.metadata import Metadata
from src.metadata.model_entries import DIGEST_KEY, METADATA_KEY, add_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST_OPSET = 13  # the first whose quantisation knows a scale for each channel


def quantize(source: Path, out: Path, batches: Iterable[np.ndarray], metadata: Metadata) -> None:
    """Write an ONNX file whose convolutions and classifier compute in INT8; images and logits stay float32.

    Weights get a scale for each output channel and 7 bits, so that the sums of processors without VNNI do not saturate
    and all processors give the same; activations have 8 bits between the least and the largest value that the images
    give.

    Args:
        source: A float32 ONNX file, of this project or another one.
        out: The file; it appears whole or not at all.
        batches: Images as the network takes them, float32 of the shape of its input.
        metadata: What the weights mean, which the file tells too.

    Raises:
        ValueError: If a package is missing, or the file is damaged, in float16 or quantised already.
        OSError: If the file cannot be written.
    """
    onnx, tools = import_quantization()
    model = _load(onnx, source)
    with TemporaryDirectory(prefix="xception-") as folder:
        plain, prepared, quantized = (Path(folder, f"{name}.onnx") for name in ("plain", "prepared", "quantized"))
        with _naming(source):
            if max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")) < _LEAST_OPSET:
                model = onnx.version_converter.convert_version(model, _LEAST_OPSET)
            onnx.save(model, str(plain))
            # Folds batch norm into the convolutions; symbolic sizes need a further package, and nothing here has any.
            tools.shape_inference.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            tools.quantize_static(
                str(prepared),
                str(quantized),
                _Reader(onnx.load(str(prepared)).graph.input[0].name, batches),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod.MinMax,
            )
            model = onnx.load(str(quantized))
        for entry in [each for each in model.metadata_props if each.key in (METADATA_KEY, DIGEST_KEY)]:
            model.metadata_props.remove(entry)
        atomic_write(out, add_metadata(model.SerializeToString(), metadata))


def import_quantization() -> tuple[Any, Any]:
    """Return the package onnx, and ONNX Runtime's for quantisation; raise a ValueError where one is missing."""
    import_onnxruntime()
    try:
        onnx = importlib.import_module("onnx")
        importlib.import_module("onnx.version_converter")
    except ImportError as error:
        message = "onnx, which quantisation needs, is missing: pip install -r requirements-quantize.txt"
        raise ValueError(message) from error
    tools = importlib.import_module("onnxruntime.quantization")
    importlib.import_module("onnxruntime.quantization.shape_inference")
    return onnx, tools


def _load(onnx: Any, path: Path) -> Any:
    """Return the model; raise for one that is not float32."""
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError:
        raise
    except Exception as error:  # protobuf's own have no common type
        raise ValueError(f"cannot load {path}: it is damaged or no ONNX model") from error
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise ValueError(f"{path} is quantised already: use the float32 file that it was made from")
    if any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in model.graph.initializer):
        raise ValueError(f"{path} is in float16: export it with --onnx_precision=float32")
    return model


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have the errors of ONNX and its runtime, which have no common type, name the file."""
    try:
        yield
    except (OSError, ValueError):  # a file that cannot be written, an image that cannot be read
        raise
    except Exception as error:
        raise ValueError(f"{path} cannot be quantised: {error}") from error


class _Reader:
    """The batches as ONNX Runtime asks for them."""

    def __init__(self, name: str, batches: Iterable[np.ndarray]):
        self._name = name
        self._batches = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch by the name of the input, None after the last one."""
        images = next(self._batches, None)
        return None if images is None else {self._name: images}
