"""The parts of ONNX's format that this project reads and writes; protobuf keeps all others as they are."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FLOAT, FLOAT16 = 1, 10  # of TensorProto.DataType
INT = 2  # of AttributeProto.AttributeType

# Name, number and type of fields, as onnx.proto has them; [] is a repeated one, and a capital a message.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Dimension": (("dim_value", 1, "int64"), ("dim_param", 2, "string")),
    "Shape": (("dim", 1, "Dimension[]"),),
    "TensorType": (("elem_type", 1, "int32"), ("shape", 2, "Shape")),
    "Type": (("tensor_type", 1, "TensorType"),),
    "ValueInfo": (("name", 1, "string"), ("type", 2, "Type")),
    "Tensor": (("data_type", 2, "int32"), ("name", 8, "string"), ("raw_data", 9, "bytes")),
    "Attribute": (("name", 1, "string"), ("i", 3, "int64"), ("type", 20, "int32")),
    "Node": (
        ("input", 1, "string[]"),
        ("output", 2, "string[]"),
        ("name", 3, "string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "Attribute[]"),
    ),
    "Graph": (
        ("node", 1, "Node[]"),
        ("initializer", 5, "Tensor[]"),
        ("input", 11, "ValueInfo[]"),
        ("output", 12, "ValueInfo[]"),
    ),
    "Model": (("graph", 7, "Graph"),),
}
_PACKAGE = "xception.onnx"


@cache
def model_class() -> Any:
    """Return the class of messages that ONNX files are, with `graph` as above."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            kind, is_repeated = kind.removesuffix("[]"), kind.endswith("[]")
            field = described.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if is_repeated else kinds.LABEL_OPTIONAL
            field.type = kinds.TYPE_MESSAGE if kind in _MESSAGES else getattr(kinds, f"TYPE_{kind.upper()}")
            if kind in _MESSAGES:
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
