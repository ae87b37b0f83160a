"""An exported file tells what its weights mean, is as large as the training's images, and shows any change of it."""

from __future__ import annotations

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from onnxruntime import InferenceSession

import export
import predict
from src.checkpoints.weights import save_weights
from src.export import exporter
from src.metadata.metadata import Metadata, Provenance
from src.metadata.model_entries import METADATA_KEY, read_model_metadata
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.deterministic import logits_of, random_images, set_weights
from tests.helpers.prediction import ONE_WORKER

pytestmark = pytest.mark.slow

NAMES = ("Katze", "n01443537", "Vogel")
TRAINED = Metadata(
    class_names=NAMES,
    image_size=71,
    crop_pct=0.9,
    interpolation="bicubic",
    amp_level="O0",
    provenance=Provenance("training", {"mindspore": "2.10"}, {"seed": 1}, 30, "folders:0"),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint that was trained at 71 pixels, and tells so."""
    network = xception(len(NAMES), "symmetric")
    set_weights(network)
    path = tmp_path_factory.mktemp("described") / "net.ckpt"
    save_weights(path, network, TRAINED)
    return path


@pytest.fixture(scope="module", params=["MINDIR", "ONNX"])
def exported(request, checkpoint) -> Path:
    """The checkpoint exported without any option but the format."""
    path = checkpoint.with_name(f"net.{request.param.lower()}")
    words = [f"--ckpt_file={checkpoint}", f"--file_name={path.with_suffix('')}", f"--file_format={request.param}"]
    assert run_command(export.main, ["--device_target=CPU", *words]) == 0
    return path


def test_without_any_option_a_file_has_the_trainings_size_and_tells_all(exported):
    described = read_model_metadata(exported)
    assert described == Metadata(**{**vars(TRAINED), "pool_padding": "symmetric"})
    if exported.suffix == ".onnx":
        session = InferenceSession(str(exported), providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == [1, 3, 71, 71]
        assert session.get_modelmeta().custom_metadata_map[METADATA_KEY] == described.to_json()
    else:
        images = random_images(1, 1, 3, 71, 71)
        network = xception(len(NAMES), "symmetric")
        set_weights(network)
        found = nn.GraphCell(ms.load(str(exported)))(images).asnumpy()
        wanted = logits_of(network, images.asnumpy())
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.fixture
def asked_for(tmp_path, monkeypatch) -> dict[str, object]:
    """What the command asks the exporter for, which writes no more than an empty file here."""
    asked = {}

    def export_network(network, file_name, form, device, metadata):
        asked.update(form=form, metadata=metadata)
        (tmp_path / "net.mindir").touch()
        return exporter.Exported(tmp_path / "net.mindir", 0.0)

    monkeypatch.setattr(exporter, "export_network", export_network)
    return asked


def test_an_option_wins_and_the_difference_is_said(checkpoint, asked_for, tmp_path, capsys):
    words = [f"--ckpt_file={checkpoint}", f"--file_name={tmp_path}/net", "--image_size=75", "--crop_pct=1.0"]
    assert run_command(export.main, ["--device_target=CPU", *words]) == 0
    said = capsys.readouterr()
    assert asked_for["form"].shape == (1, 3, 75, 75)
    assert "input 1 x 3 x 75 x 75" in said.out
    assert f"image_size is 75, as given, though {checkpoint} says 71\n" in said.err
    assert (asked_for["metadata"].image_size, asked_for["metadata"].crop_pct) == (71, 1.0)


def test_a_training_configuration_that_holds_the_old_width_does_not_decide_the_size(
    checkpoint, asked_for, tmp_path, capsys
):
    (tmp_path / "config.yaml").write_text("image_size: 71\nwidth: 299\nheight: 299\n")
    words = [f"--ckpt_file={checkpoint}", f"--file_name={tmp_path}/net", f"--config_path={tmp_path}/config.yaml"]
    assert run_command(export.main, ["--device_target=CPU", *words]) == 0
    assert asked_for["form"].shape == (1, 3, 71, 71)
    assert "input 1 x 3 x 71 x 71" in capsys.readouterr().out


def test_one_flipped_bit_in_the_weights_is_an_error_of_prediction(exported, tmp_path, capsys):
    content = bytearray(exported.read_bytes())
    content[len(content) // 2] ^= 1 << 6
    damaged = tmp_path / exported.name
    damaged.write_bytes(content)
    assert run_command(predict.main, ["absent.jpg", f"--checkpoint_path={damaged}", "--device_target=CPU"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {damaged} is damaged, or was changed by another program")
    assert len(said.err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_in_another_folder_predicts_by_its_own_names_and_size(
    exported, checkpoint, few_digits, tmp_path, capsys, is_link
):
    """A copy or a link elsewhere once predicted "class 1 at 99.9 %": its size and its names had stayed behind."""
    images = str(few_digits / "val" / "0")
    found = []
    for path in (checkpoint, exported):
        there = tmp_path / f"there{path.suffix}"
        if is_link:
            there.symlink_to(path)
        else:
            there.write_bytes(path.read_bytes())
        command = [images, "--csv", "--topk=3", f"--checkpoint_path={there}", "--device_target=CPU", ONE_WORKER]
        assert run_command(predict.main, command) == 0
        said = capsys.readouterr()
        assert [line for line in said.err.splitlines() if not line.startswith(("check", "predict"))] == []
        found.append(said.out.splitlines())
    _, *rows = found[0]
    names = {row.split(",")[3].strip('"') for row in rows}
    assert names <= {"Katze", "goldfish", "Vogel"} and names
    for row, other in zip(rows, found[1][1:], strict=True):
        *same, probability = row.rsplit(",", 1)
        *other_same, other_probability = other.rsplit(",", 1)
        assert same == other_same
        assert float(probability) == pytest.approx(float(other_probability), abs=1e-4)
