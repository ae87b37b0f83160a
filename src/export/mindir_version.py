"""Rewrite an exported MINDIR into an older version of the format, for runtimes that do not load today's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, NodeProto, PrimitiveProto

WRITTEN_VERSION = 3  # by MindSpore 2.5 to 2.10

_CONSTANT = "Constant"
_REFERENCE = "REF::"  # stands before the name of its primitive in a node's op_type


@dataclass(frozen=True)
class _Setting:
    """A setting of an op: one of its last inputs today, an attribute of its primitive in version 1.

    Args:
        names: The attribute; further names are those under which some runtimes look for it.
        convert: Turns the input's value into the attribute's.
    """

    names: tuple[str, ...]
    convert: Callable[[Any], Any] = lambda value: value


_LAYOUT = _Setting(("format", "data_format"), {0: "NCHW", 1: "NHWC"}.__getitem__)

# Every op that old runtimes are known to run, with its settings in the order of the inputs. A row needs a rewritten
# file that ran in MindSpore Lite 2.0.0 and in today's MindSpore. AvgPool, whose window has four numbers for the one and
# two for the other, has none; Xception has no AvgPool, its last pooling is exported as ReduceMean.
_OPS: Mapping[str, tuple[_Setting, ...]] = {
    "Add": (),
    "BatchNorm": (_Setting(("is_training",)), _Setting(("epsilon",)), _Setting(("momentum",)), _LAYOUT),
    "BiasAdd": (_LAYOUT,),
    "Conv2D": (),
    "Depend": (),
    "Load": (),
    "MakeTuple": (),
    "MatMul": (_Setting(("transpose_a", "transpose_x1")), _Setting(("transpose_b", "transpose_x2"))),
    "MaxPool": (),
    "ReLU": (),
    "ReduceMean": (_Setting(("keep_dims",)),),
    "Reshape": (),
    "TupleGetItem": (),
    "UpdateState": (),
}


def rewrite_version(model: ModelProto, version: int) -> None:
    """Change a model in place from the version that MindSpore writes to an older one.

    Version 2 differs from 3 by the formulas of dynamic shapes alone; it is untried in the runtimes of its time. Version
    1 has no primitive functions either: the settings that are their last inputs become attributes of ordinary
    primitives.

    Args:
        model: The exported model, with or without weights; of no use after an error.
        version: 1 or 2.

    Raises:
        ValueError: If the model is not of version 3, or holds what the older version is not known to have; the
            message names the op.
    """
    if model.mind_ir_version != WRITTEN_VERSION:
        raise ValueError(
            f"MindSpore {model.model_version} writes version {model.mind_ir_version} of MINDIR, and only version "
            f"{WRITTEN_VERSION} can be rewritten: use MindSpore 2.5 to 2.10, or leave out --mindir_version"
        )
    primitives = {primitive.name: primitive for primitive in model.primitives}
    nodes = [node for graph in (model.graph, *model.functions) for node in graph.node]
    operations = [node for node in nodes if node.op_type != _CONSTANT]
    for node in operations:
        name = node.op_type.removeprefix(_REFERENCE)
        operator = primitives[name].op_type if name in primitives else name
        if operator not in _OPS or _has_formula(node.attribute):
            raise ValueError(
                f"the op {operator} cannot be written as MINDIR version {version}: its form there is unknown"
            )
    if version == 1:
        constants = {node.name: _value(node.attribute[0]) for node in nodes if node.op_type == _CONSTANT}
        _replace_functions(operations, primitives, constants, model)
    model.mind_ir_version = version


def _has_formula(attributes: Sequence[AttributeProto]) -> bool:
    return any(attribute.HasField("graph_holder") or _has_formula(attribute.values) for attribute in attributes)


def _replace_functions(
    operations: Sequence[NodeProto],
    primitives: Mapping[str, PrimitiveProto],
    constants: Mapping[str, Any],
    model: ModelProto,
) -> None:
    """Let every node of a primitive function refer to an ordinary primitive with the node's settings."""
    made: dict[bytes, str] = {}
    for node in operations:
        function = primitives[node.op_type.removeprefix(_REFERENCE)]
        if function.prim_type != PrimitiveProto.PRIMITIVE_FUNCTION:
            continue
        primitive = PrimitiveProto()
        primitive.CopyFrom(function)
        primitive.prim_type = PrimitiveProto.PRIMITIVE
        primitive.attribute.extend(_take_settings(node, function.op_type, constants))
        # Layers share a function today even where their settings differ, so there may be several primitives of one.
        key = primitive.SerializeToString(deterministic=True)
        if key not in made:
            made[key] = primitive.name = f"{function.name}:{len(made)}"
            model.primitives.append(primitive)
        node.op_type = _REFERENCE + made[key]
    ordinary = [each for each in model.primitives if each.prim_type == PrimitiveProto.PRIMITIVE]
    del model.primitives[:]
    model.primitives.extend(ordinary)


def _take_settings(node: NodeProto, operator: str, constants: Mapping[str, Any]) -> Iterator[AttributeProto]:
    """Remove the inputs that are settings from a node and return them as attributes."""
    settings = _OPS[operator]
    start = len(node.input) - len(settings)
    inputs = node.input[start:]
    del node.input[start:]
    for setting, name in zip(settings, inputs, strict=True):
        try:
            value = setting.convert(constants[name])
        except KeyError as error:
            raise ValueError(
                f"the op {operator} cannot be written as MINDIR version 1: its setting {setting.names[0]} is not one "
                "of the known constants"
            ) from error
        for attribute in setting.names:
            yield _attribute(attribute, value)


def _value(constant: AttributeProto) -> bool | int | float | None:
    """Return a constant as a Python value; None for kinds that no setting has."""
    if constant.type == AttributeProto.BOOL:
        return bool(constant.i)
    if constant.type == AttributeProto.INT64:
        return constant.i
    return constant.f if constant.type == AttributeProto.FLOAT else None


def _attribute(name: str, value: bool | float | str) -> AttributeProto:
    """Return an attribute in the form that MindSpore writes."""
    if isinstance(value, bool):
        return AttributeProto(name=name, type=AttributeProto.BOOL, i=int(value))
    if isinstance(value, float):
        return AttributeProto(name=name, type=AttributeProto.FLOAT, f=value)
    return AttributeProto(name=name, type=AttributeProto.STRING, s=value.encode())
