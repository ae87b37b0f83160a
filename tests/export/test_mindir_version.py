"""A MINDIR of an older version computes the same, in the form that old runtimes read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, NodeProto, PrimitiveProto

from src.export.exporter import Exported, ExportForm, export_network
from src.export.mindir_version import rewrite_version
from src.Xception import xception
from tests.helpers.deterministic import random_images, set_weights

pytestmark = pytest.mark.slow


class EveryOp(nn.Cell):
    """A small network of every op that has settings, with settings that are not the defaults."""

    def __init__(self):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(3, eps=0.5)
        self.bn2 = nn.BatchNorm2d(3, eps=1e-3, momentum=0.6)
        self.conv = nn.Conv2d(3, 4, 3, weight_init="normal")
        self.max = nn.MaxPool2d(2, 2)
        self.flatten = ops.Reshape()
        self.fc = nn.Dense(4, 5, weight_init="normal")
        self.matmul = ops.MatMul(transpose_a=True)
        self.mean = ops.ReduceMean(keep_dims=True)
        set_weights(self)

    def construct(self, x: Tensor) -> Tensor:
        x = self.bn2(self.bn1(x))
        x = self.max(self.conv(x))
        x = self.flatten(self.mean(ops.relu(x), (2, 3)), (2, 4))
        return self.matmul(x, self.fc(x)) + 1.0


class Unknown(nn.Cell):
    """A network with an op that the table lacks."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, weight_init="ones")

    def construct(self, x: Tensor) -> Tensor:
        return ops.sigmoid(self.conv(x)).mean((2, 3))


def write(network: nn.Cell, path: Path, version: int, side: int = 8) -> Exported:
    return export_network(network, str(path), ExportForm("MINDIR", 2, side, side, version), "CPU")


def read(path: Path) -> ModelProto:
    return ModelProto.FromString(path.read_bytes())


def operators(model: ModelProto) -> list[tuple[NodeProto, PrimitiveProto]]:
    """Return the nodes that compute, each with its primitive."""
    primitives = {primitive.name: primitive for primitive in model.primitives}
    assert len(primitives) == len(model.primitives)
    assert not model.functions
    return [
        (node, primitives[node.op_type.removeprefix("REF::")])
        for node in model.graph.node
        if node.op_type != "Constant"
    ]


def settings(primitive: PrimitiveProto) -> dict[str, object]:
    """Return the attributes of a primitive as Python values."""
    convert = {
        AttributeProto.BOOL: lambda attribute: bool(attribute.i),
        AttributeProto.FLOAT: lambda attribute: attribute.f,
        AttributeProto.STRING: lambda attribute: attribute.s.decode(),
    }
    names = [attribute.name for attribute in primitive.attribute]
    assert len(set(names)) == len(names)
    return {
        attribute.name: convert[attribute.type](attribute)
        for attribute in primitive.attribute
        if attribute.type in convert
    }


def logits(path: Path, images: Tensor) -> np.ndarray:
    return nn.GraphCell(ms.load(str(path)))(images).asnumpy()


@pytest.fixture(scope="module")
def today(tmp_path_factory) -> Path:
    """The real network in the version that MindSpore writes."""
    network = xception(10)
    set_weights(network)
    return write(network, tmp_path_factory.mktemp("today") / "net", 0, side=71).path


def test_mindspore_writes_the_version_that_the_table_is_for(today):
    model = read(today)
    assert model.mind_ir_version == 3
    functions = {primitive.op_type for _, primitive in operators(model) if primitive.prim_type == 2}
    assert functions == {"Add", "BatchNorm", "BiasAdd", "MatMul", "ReLU", "ReduceMean"}


def test_version_1_of_the_network_has_attributes_in_the_place_of_inputs(today):
    old, new = read(today), read(today)
    rewrite_version(new, 1)
    assert new.mind_ir_version == 1
    assert all(primitive.prim_type == PrimitiveProto.PRIMITIVE for primitive in new.primitives)
    removed = Counter()
    found = {}
    for (before, was), (after, is_now) in zip(operators(old), operators(new), strict=True):
        assert is_now.op_type == was.op_type
        assert list(after.input) == list(before.input)[: len(after.input)]
        removed[was.op_type] += len(before.input) - len(after.input)
        found[was.op_type] = settings(is_now)
    assert {name: count for name, count in removed.items() if count} == {
        "BatchNorm": 40 * 4,
        "ReduceMean": 1,
        "MatMul": 2,
        "BiasAdd": 1,
    }
    assert found["BatchNorm"] == {
        "is_training": False,
        "epsilon": pytest.approx(1e-5),
        "momentum": pytest.approx(0.1),
        "format": "NCHW",
        "data_format": "NCHW",
    }
    assert found["ReduceMean"] == {"keep_dims": False}
    assert found["MatMul"] == {
        "transpose_a": False,
        "transpose_x1": False,
        "transpose_b": True,
        "transpose_x2": True,
    }
    assert found["BiasAdd"] == {"format": "NCHW", "data_format": "NCHW"}
    assert new.graph.parameter == old.graph.parameter


def test_version_2_differs_in_its_number_alone(today):
    old, new = read(today), read(today)
    rewrite_version(new, 2)
    assert new.mind_ir_version == 2
    new.mind_ir_version = 3
    assert new == old


@pytest.mark.parametrize("version", [1, 2])
def test_the_exported_network_gives_the_same_logits(today, tmp_path, version):
    network = xception(10)
    set_weights(network)
    exported = write(network, tmp_path / "net", version, side=71)
    assert exported.difference <= 1e-5
    assert read(exported.path).mind_ir_version == version
    images = random_images(3, 2, 3, 71, 71)
    expected = logits(today, images)
    assert np.abs(logits(exported.path, images) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_settings_of_every_op_are_kept_layer_by_layer(tmp_path):
    exported = write(EveryOp(), tmp_path / "net", 1)
    assert exported.difference <= 1e-5
    found = [(primitive.op_type, settings(primitive)) for _, primitive in operators(read(exported.path))]
    by_name = dict(found)
    assert [round(values["epsilon"], 4) for name, values in found if name == "BatchNorm"] == [0.5, 0.001]
    assert by_name["ReduceMean"]["keep_dims"] is True
    assert [values["transpose_a"] for name, values in found if name == "MatMul"] == [False, True]
    assert by_name["Reshape"] == {}


@pytest.mark.parametrize(("operator", "name"), [("BatchNorm", "epsilon"), ("MatMul", "transpose_a")])
def test_the_check_of_the_exporter_would_see_a_wrong_setting(tmp_path, operator, name):
    """MindSpore runs version 1 by its attributes, so loading the file back is a true check of them."""
    path = write(EveryOp(), tmp_path / "net", 1).path
    images = random_images(3, 2, 3, 8, 8)
    expected = logits(path, images)
    model = read(path)
    for _, primitive in operators(model):
        for attribute in primitive.attribute:
            if primitive.op_type == operator and attribute.name == name:
                attribute.f = 2.0
                attribute.i = 1 - attribute.i
    path.chmod(0o600)
    path.write_bytes(model.SerializeToString())
    try:
        found = logits(path, images)
    except (RuntimeError, ValueError):
        return
    assert found.shape != expected.shape or np.abs(found - expected).max() > 1e-3 * np.abs(expected).max()


def test_an_op_that_the_table_lacks_is_named_and_the_old_file_stays(tmp_path):
    path = write(Unknown(), tmp_path / "net", 0).path
    content = path.read_bytes()
    for version in (1, 2):
        with pytest.raises(ValueError, match=rf"the op Sigmoid cannot be written as MINDIR version {version}"):
            write(Unknown(), path, version)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_setting_that_is_no_constant_is_named(today):
    model = read(today)
    node = next(node for node, primitive in operators(model) if primitive.op_type == "BiasAdd")
    node.input[-1] = node.input[0]
    with pytest.raises(ValueError, match=r"the op BiasAdd .* its setting format is not one of the known constants"):
        rewrite_version(model, 1)


def test_a_layout_of_unknown_code_is_named(today):
    model = read(today)
    node = next(node for node, primitive in operators(model) if primitive.op_type == "BiasAdd")
    constant = next(constant for constant in model.graph.node if constant.name == node.input[-1])
    constant.attribute[0].i = 9
    with pytest.raises(ValueError, match="is not one of the known constants"):
        rewrite_version(model, 1)


def test_a_formula_of_a_dynamic_shape_is_refused(today):
    model = read(today)
    node = next(node for node, primitive in operators(model) if primitive.op_type == "Conv2D")
    node.attribute[0].values.add().graph_holder.SetInParent()
    with pytest.raises(ValueError, match="the op Conv2D cannot be written as MINDIR version 2"):
        rewrite_version(model, 2)


def test_a_call_of_another_graph_is_refused(today):
    model = read(today)
    operators(model)[0][0].op_type = "REF::a function"
    with pytest.raises(ValueError, match="the op a function cannot be written"):
        rewrite_version(model, 1)


def test_a_version_that_is_new_itself_is_refused(today):
    model = read(today)
    model.mind_ir_version = 4
    with pytest.raises(ValueError, match=r"writes version 4 of MINDIR, and only version 3 can be rewritten"):
        rewrite_version(model, 1)


def test_a_version_for_another_format_is_one_line_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"ONNX has no MINDIR version: leave out --mindir_version"):
        export_network(Unknown(), str(tmp_path / "net"), ExportForm("ONNX", 1, 8, 8, 1), "CPU")
    assert list(tmp_path.iterdir()) == []
