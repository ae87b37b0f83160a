"""An exported file gives the network's logits, and a bad export never takes the place of a good file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.train import serialization
from mindspore.train.mind_ir_pb2 import ModelProto
from onnxruntime import InferenceSession

import export
from src.checkpoints.weights import save_checkpoint
from src.export.exporter import Exported, export_network
from src.model_utils.command import run_command
from src.Xception import Xception, xception
from tests.helpers.deterministic import random_images, set_weights
from tests.helpers.project import ROOT
from tests.helpers.small_classifier import Small

pytestmark = pytest.mark.slow


def write(network: nn.Cell, name: Path | str, file_format: str = "MINDIR", batch: int = 2, side: int = 3) -> Exported:
    return export_network(network, str(name), file_format, batch, side, side, "CPU")


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Xception, Path]:
    """Xception with ten classes whose weights and statistics are not the initial ones, and its checkpoint."""
    network = xception(10)
    set_weights(network)
    path = tmp_path_factory.mktemp("trained") / "my nets" / "net.ckpt"
    save_checkpoint(path, network)
    return network, path


def run_export(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run export.py from another folder, as a user does."""
    command = [sys.executable, str(ROOT / "export.py"), "--device_target=CPU", "--num_classes=10", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("file_format", "width"), [("MINDIR", 90), ("ONNX", 71)])
def test_the_command_writes_a_file_that_agrees_with_the_network(trained, tmp_path, file_format, width):
    network, checkpoint = trained
    size = ["--batch_size=2", f"--width={width}", "--height=71"]
    result = run_export(
        tmp_path, f"--ckpt_file={checkpoint}", *size, "--file_name=a folder/net", f"--file_format={file_format}"
    )
    assert result.returncode == 0
    lines = result.stderr.splitlines()  # on a slow machine the progress has more than its last one
    assert all(line.startswith("export: ") for line in lines)
    assert lines[-1].startswith("export: 4/4 steps (100%)")
    suffix = file_format.lower()
    path = tmp_path / "a folder" / f"net.{suffix}"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert f"wrote a folder/net.{suffix}: 8" in result.stdout
    assert f"input 2 x 3 x 71 x {width}" in result.stdout
    assert "checked: loaded back, its logits for 6 images differ by" in result.stdout
    images = random_images(9, 2, 3, 71, width)
    expected = network.set_train(False)(images).asnumpy()
    if file_format == "MINDIR":
        # Looked up in the file: GraphCell runs images of any size.
        (declared,) = ModelProto.FromString(path.read_bytes()).graph.input
        assert list(declared.tensor[0].dims) == [2, 3, 71, width]
        found = nn.GraphCell(ms.load(str(path)))(images).asnumpy()
    else:
        session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == [2, 3, 71, width]
        (found,) = session.run(["logits"], {"images": images.asnumpy()})
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_checkpoint_that_is_not_there_is_one_line_of_the_process(tmp_path):
    result = run_export(tmp_path, "--ckpt_file=my nets/absent.ckpt")
    assert result.returncode == 1
    assert result.stderr == "error: no checkpoint file my nets/absent.ckpt: check the path\n"
    assert os.listdir(tmp_path) == []


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


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 2, "error: no checkpoint given: add --ckpt_file=FILE.ckpt"),
        (
            ["--ckpt_file={checkpoint}", "--num_classes=10", "--file_format=AIR"],
            1,
            "AIR can be exported on Ascend only, this is CPU",
        ),
        (["--ckpt_file={checkpoint}"], 1, "it has 10 classes: use --num_classes=10"),
        (
            ["--ckpt_file={checkpoint}", "--num_classes=10", "--width=70"],
            2,
            "option --width: expected an integer >= 71",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(trained, tmp_path, monkeypatch, capsys, options, status, message):
    monkeypatch.chdir(tmp_path)
    words = [word.format(checkpoint=trained[1]) for word in options]
    assert run_command(export.main, ["--device_target=CPU", *words]) == status
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error
    assert os.listdir(tmp_path) == []
