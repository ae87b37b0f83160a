"""A MINDIR whose weights do not fit their shapes is refused with the weight's name, and never run."""

from __future__ import annotations

from pathlib import Path

import pytest
from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

from src.export.exporter import ExportForm, export_network
from src.export.model_file import load_mindir
from tests.helpers.small_classifier import Small

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    name = tmp_path_factory.mktemp("net") / "net"
    return export_network(Small(), str(name), ExportForm("MINDIR", 1, 5, 5), "CPU").path


def cut(weight: TensorProto) -> None:
    weight.raw_data = weight.raw_data[:40]


def lengthen(weight: TensorProto) -> None:
    weight.raw_data *= 2


def widen(weight: TensorProto) -> None:
    weight.dims[3] = 3000


def turn(weight: TensorProto) -> None:
    weight.dims[0] *= -1
    weight.dims[1] *= -1


def rename_type(weight: TensorProto) -> None:
    weight.data_type = TensorProto.STRING


@pytest.mark.parametrize("damage", [cut, lengthen, widen, turn, rename_type])
def test_a_weight_that_does_not_fit_is_named(exported, tmp_path, damage):
    model = ModelProto.FromString(exported.read_bytes())
    (weight,) = model.graph.parameter
    damage(weight)
    path = tmp_path / "damaged.mindir"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"damaged\.mindir: it is damaged, its weight '.*conv\.weight' has"):
        load_mindir(path)
