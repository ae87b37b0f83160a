"""What MindSpore's exporter cannot write into an ONNX file: a batch of any size, and weights in float16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from src.common.files import naming
from src.export.model_file import import_onnxruntime
from src.export.onnx_format import FLOAT, FLOAT16, INT, model_class

# Of float16's largest value, 65504: photographs may give larger values inside the network than the noise that is tried.
LARGEST = float(np.finfo(np.float16).max) / 4


def open_batch(path: Path) -> None:
    """Let the first size of the input and the output be any, by the name of batch."""
    model = model_class().FromString(path.read_bytes())
    for value in (*model.graph.input, *model.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        batch.ClearField("dim_value")
        batch.dim_param = "batch"
    with naming(path):
        path.write_bytes(model.SerializeToString())


def to_float16(path: Path) -> None:
    """Turn weights and computation of a float32 file with one input and one output into float16, but for these two.

    Raises:
        ValueError: If a weight is too large for float16.
    """
    model = model_class().FromString(path.read_bytes())
    graph = model.graph
    for weight in graph.initializer:
        if weight.data_type == FLOAT:
            values = np.frombuffer(weight.raw_data, np.float32)
            largest = float(np.abs(values).max(initial=0))
            if largest > np.finfo(np.float16).max:
                raise ValueError(f"its weight {weight.name} reaches {largest:.3g}, which is too large for float16")
            weight.raw_data = values.astype(np.float16).tobytes()
            weight.data_type = FLOAT16
    (images,), (logits,) = graph.input, graph.output
    halves = {name: f"{name}_float16" for name in (images.name, logits.name)}
    nodes = list(graph.node)
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [halves.get(name, name) for name in names]
    del graph.node[:]
    _add_cast(graph, images.name, halves[images.name], FLOAT16)
    graph.node.extend(nodes)
    _add_cast(graph, halves[logits.name], logits.name, FLOAT)
    with naming(path):
        path.write_bytes(model.SerializeToString())


def largest_value(path: Path, images: np.ndarray) -> tuple[float, str]:
    """Return the largest value that a float32 file computes for images on its way, and its name there.

    On a CPU, ONNX Runtime computes a float16 file in float32, so that running one does not show what overflows.

    Args:
        path: The file.
        images: Float32, of the shape of the file's input.
    """
    runtime = import_onnxruntime()
    model = model_class().FromString(path.read_bytes())
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name not in known:
                model.graph.output.add(name=name)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: images})
    found = [
        (float(np.abs(value).max(initial=0)), output.name)
        for value, output in zip(values, session.get_outputs(), strict=True)
    ]
    # A NaN is greater than all, and what cannot be.
    return max(found, key=lambda each: np.inf if np.isnan(each[0]) else each[0])


def _add_cast(graph: Any, source: str, target: str, kind: int) -> None:
    node = graph.node.add(op_type="Cast", name=f"to {target}", input=[source], output=[target])
    node.attribute.add(name="to", i=kind, type=INT)
