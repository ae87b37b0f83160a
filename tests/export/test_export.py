"""The command writes a file that gives the network's logits, and a mistake is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.train.mind_ir_pb2 import ModelProto
from onnxruntime import InferenceSession

import export
from src.checkpoints.weights import save_weights
from src.model_utils.command import run_command
from src.Xception import Xception, xception
from tests.helpers.deterministic import random_images, set_weights
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Xception, Path]:
    """Xception with ten classes whose weights and statistics are not the initial ones, and its checkpoint."""
    network = xception(10)
    set_weights(network)
    path = tmp_path_factory.mktemp("trained") / "my nets" / "net.ckpt"
    save_weights(path, network)
    return network, path


def run_export(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run export.py from another folder, as a user does."""
    command = [sys.executable, str(ROOT / "export.py"), "--device_target=CPU", *options]
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
    *progress, last = [line for line in lines if line.startswith("export: ")]
    assert last.startswith("export: 4/4 steps (100%)")
    notes = lines[len(progress) + 1 :]
    assert all("assumed: " in note or "takes images of 71 x 90, as given" in note for note in notes)
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


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 2, "error: no checkpoint given: add --ckpt_file=FILE.ckpt"),
        (
            ["--ckpt_file={checkpoint}", "--num_classes=10", "--file_format=AIR"],
            1,
            "AIR can be exported on Ascend only, this is CPU",
        ),
        (["--ckpt_file={checkpoint}", "--num_classes=8"], 2, "net.ckpt has 10 classes: use --num_classes=10, or leave"),
        (
            ["--ckpt_file={checkpoint}", "--num_classes=10", "--width=70"],
            2,
            "option --width: expected 0, or an integer >= 71, got 70",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(trained, tmp_path, monkeypatch, capsys, *, options, status, message):
    monkeypatch.chdir(tmp_path)
    words = [word.format(checkpoint=trained[1]) for word in options]
    assert run_command(export.main, ["--device_target=CPU", *words]) == status
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error
    assert os.listdir(tmp_path) == []
