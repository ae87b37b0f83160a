"""An exported file gives the network's logits, and a bad export never takes the place of a good file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.train import serialization
from mindspore.train.mind_ir_pb2 import ModelProto

from src.export.exporter import Exported, ExportForm, export_network
from tests.helpers.small_classifier import Small

pytestmark = pytest.mark.slow


def write(network: nn.Cell, name: Path | str, file_format: str = "MINDIR", batch: int = 2, side: int = 3) -> Exported:
    return export_network(network, str(name), ExportForm(file_format, batch, side, side), "CPU")


class Changing(Small):
    """A network whose weights are all 1 when it runs, and something else at the export."""

    def __init__(self, exported: float):
        super().__init__()
        self.fill(exported)

    def fill(self, value: float) -> None:
        self.conv.weight.set_data(Tensor(np.full(self.conv.weight.shape, value), ms.float32))

    def __call__(self, x: Tensor) -> Tensor:
        self.fill(1)
        return super().__call__(x)


def test_dropout_is_absent_and_the_difference_is_reported(tmp_path):
    exported = write(Small().set_train(True), tmp_path / "small")
    assert exported.path == tmp_path / "small.mindir"
    assert 0 <= exported.difference <= 1e-6
    model = ModelProto.FromString(exported.path.read_bytes())
    operators = [node.op_type for graph in [model.graph, *model.functions] for node in graph.node]
    assert any("Conv2D" in operator for operator in operators)
    assert not any("Dropout" in operator for operator in operators)


@pytest.mark.parametrize("name", ["net", "net.mindir"])
def test_the_suffix_is_added_once(tmp_path, name):
    assert write(Small(), tmp_path / name).path == tmp_path / "net.mindir"


@pytest.mark.parametrize("name", ["", "folder/", ".mindir"])
def test_a_name_of_nothing_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="has no name in it"):
        write(Small(), name)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_an_ordinary_one(tmp_path):
    (tmp_path / "usual").touch()
    assert write(Small(), tmp_path / "net").path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.fixture
def good(tmp_path) -> tuple[Path, bytes]:
    path = write(Small(), tmp_path / "net").path
    return path, path.read_bytes()


def assert_untouched(good: tuple[Path, bytes]) -> None:
    path, content = good
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("exported", [1.001, np.nan, np.inf])
def test_a_file_that_disagrees_is_refused_and_the_old_one_stays(good, exported):
    with pytest.raises(ValueError, match=r"net\.mindir is not written: its logits differ .* more than 0\.0001"):
        write(Changing(exported), good[0])
    assert_untouched(good)


def test_a_file_of_half_precision_is_refused(good):
    with pytest.raises(ValueError, match=r"gives float16 \(2, 4\) instead of float32 \(2, 4\)"):
        write(Small().to_float(ms.float16), good[0])
    assert_untouched(good)


def test_weights_that_need_several_files_are_refused(good, monkeypatch):
    monkeypatch.setattr(serialization, "TOTAL_SAVE", 0)  # in KiB: above it MindSpore writes graph and weights apart
    with pytest.raises(ValueError, match="splits weights this large over several files"):
        write(Small(), good[0])
    assert_untouched(good)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_of_no_good_weights_is_refused(good, value):
    network = Small()
    network.conv.weight.set_data(Tensor(np.full(network.conv.weight.shape, value), ms.float32))
    with pytest.raises(ValueError, match="NaN or infinite"):
        write(network, good[0])
    assert_untouched(good)


def test_air_without_ascend_is_one_line_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"AIR can be exported on Ascend only, this is CPU"):
        write(Small(), tmp_path / "new folder" / "net", "AIR")
    assert list(tmp_path.iterdir()) == []


def test_onnx_without_its_checker_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-onnx\.txt"):
        write(Small(), tmp_path / "net", "ONNX")


def test_a_temporary_folder_that_mindspore_refuses_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a folder"))
    with pytest.raises(ValueError, match="a folder: set TMPDIR to a path of ASCII letters"):
        write(Small(), tmp_path / "net")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        write(Small(), tmp_path / "file" / "net")
