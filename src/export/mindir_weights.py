"""The weights in a MINDIR, compared with the shapes that it declares for them."""

from __future__ import annotations

import math

from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

_BYTES = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.FLOAT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.INT16: 2,
    TensorProto.UINT16: 2,
    TensorProto.INT32: 4,
    TensorProto.UINT32: 4,
    TensorProto.INT64: 8,
    TensorProto.UINT64: 8,
}


def find_misfit(model: ModelProto) -> str:
    """Look for a weight with too little or too much data, which MindSpore loads with numbers of its own.

    Args:
        model: A whole model, with its weights inside.

    Returns:
        What is wrong with the first one, empty where all fit.
    """
    for weight in model.graph.parameter:
        name = ascii(weight.name)[:80]
        if weight.data_type not in _BYTES:
            return f"its weight {name} has the unknown type {weight.data_type}"
        shape = tuple(weight.dims)
        if min(shape, default=1) < 1 or len(weight.raw_data) != math.prod(shape) * _BYTES[weight.data_type]:
            return f"its weight {name} has {len(weight.raw_data)} bytes, which do not fit {str(shape)[:80]}"
    return ""
