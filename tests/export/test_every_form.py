"""One file of any form, alone in a folder, is all that every command needs: names, size, crop and interpolation."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mindspore import Tensor

import eval as eval_door
import eval_onnx
import export
import predict
from src.checkpoints.weights import read_metadata, save_weights
from src.dataset import read_image
from src.evaluation.engines import image_loss
from src.export import exporter
from src.metadata.metadata import Metadata, Provenance
from src.metadata.model_entries import read_model_metadata
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.configuration import parse
from tests.helpers.deterministic import logits_of, set_weights
from tests.helpers.prediction import ONE_WORKER
from tests.helpers.weight_files import convert, need
from tools import imgid2label

pytestmark = pytest.mark.slow

NAMES = ("2", "0", "1")  # no class is at the position of its folder
SIZE, CROP = 71, 0.8
MEANT = Metadata(
    class_names=NAMES,
    image_size=SIZE,
    crop_pct=CROP,
    interpolation="bicubic",
    amp_level="O0",
    provenance=Provenance("training", {"mindspore": "2.10"}, {"seed": 1}, 21, "folders:0"),
)
CONVERTED = {"weights.h5": ("keras", "h5py"), "safetensors": ("safetensors", "safetensors"), "pth": ("timm", "torch")}
EXPORTED = ("mindir", "onnx")


class Truth(NamedTuple):
    """What the network itself makes of the images.

    Args:
        checkpoint: Its checkpoint.
        paths: The images.
        logits: Its logits for them.
    """

    checkpoint: Path
    paths: Sequence[Path]
    logits: np.ndarray


@pytest.fixture(scope="module")
def truth(few_digits, tmp_path_factory) -> Truth:
    network = xception(len(NAMES))
    set_weights(network)
    network.fc.weight.set_data(network.fc.weight * 1e-4)  # so that the probabilities are no zeros and ones
    checkpoint = tmp_path_factory.mktemp("training") / "Xception-best.ckpt"
    save_weights(checkpoint, network, MEANT)
    paths = sorted((few_digits / "val").glob("*/*"))
    images = np.stack([read_image(path, SIZE, crop_pct=CROP, interpolation="bicubic") for path in paths])
    return Truth(checkpoint, paths, logits_of(network, images))


@pytest.fixture(scope="module", params=["ckpt", *EXPORTED, *CONVERTED])
def alone(request, truth, tmp_path_factory) -> Path:
    """The network in a form, under another name, with nothing beside it; weights of other packages came back."""
    form, folder = request.param, tmp_path_factory.mktemp("colleague")
    if form == "ckpt":
        return shutil.copy(truth.checkpoint, folder / "net.ckpt")
    made = tmp_path_factory.mktemp("made")
    if form in EXPORTED:
        words = [f"--ckpt_file={truth.checkpoint}", f"--file_name={made / 'net'}", f"--file_format={form.upper()}"]
        assert run_command(export.main, ["--device_target=CPU", *words]) == 0
        return shutil.copy(made / f"net.{form}", folder / f"mine.{form}")
    layout, module = CONVERTED[form]
    need(module)
    convert(truth.checkpoint, made / f"net.{form}", "--to", layout)
    return convert(made / f"net.{form}", folder / "mine.ckpt")


def test_the_metadata_is_whole(alone):
    read = read_metadata if alone.suffix == ".ckpt" else read_model_metadata
    assert read(alone) == MEANT
    assert list(alone.parent.iterdir()) == [alone]


def test_prediction_is_that_of_the_network(alone, truth, capsys):
    words = [*map(str, truth.paths), "--csv", f"--topk={len(NAMES)}", f"--checkpoint_path={alone}"]
    assert run_command(predict.main, [*words, "--device_target=CPU", ONE_WORKER]) == 0
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if not line.startswith(("check", "predict"))] == []
    found = {(row["image"], int(row["class"])): row for row in csv.DictReader(io.StringIO(said.out))}
    exponents = np.exp(truth.logits.astype(np.float64))
    assert len(found) == exponents.size
    for path, probabilities in zip(truth.paths, exponents / exponents.sum(1, keepdims=True), strict=True):
        for label, probability in enumerate(probabilities):
            row = found[str(path), label]
            assert row["name"] == NAMES[label]
            assert float(row["probability"]) == pytest.approx(probability, abs=1e-4)


def test_evaluation_is_that_of_the_network(alone, truth, few_digits, capsys):
    doors = {".ckpt": (eval_door, "checkpoint_path"), ".onnx": (eval_onnx, "onnx_path")}
    if alone.suffix not in doors:
        pytest.skip("evaluation takes no MINDIR; the program for the Ascend 310 does")
    door, option = doors[alone.suffix]
    words = ["--device_target=CPU", f"--test_data_dir={few_digits / 'val'}", f"--{option}={alone}"]
    assert run_command(door.main, words) == 0
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if not line.startswith("evaluate")] == []
    labels = np.array([NAMES.index(path.parent.name) for path in truth.paths], np.int32)
    losses = image_loss(parse(f"--num_classes={len(NAMES)}"))(Tensor(truth.logits), Tensor(labels)).asnumpy()
    loss, accuracy = map(float, re.search(r"'Loss': (\S+), 'Top_1_Acc': (\S+),", said.out).groups())
    assert loss == pytest.approx(losses.mean(), rel=1e-4)
    assert accuracy == pytest.approx((truth.logits.argmax(1) == labels).mean())


def test_a_label_file_has_the_networks_numbers(alone, few_digits, tmp_path, capsys):
    assert run_command(imgid2label.main, [str(few_digits / "val"), str(tmp_path / "labels"), f"--model={alone}"]) == 0
    assert capsys.readouterr().err == ""
    lines = (tmp_path / "labels").read_text().splitlines()
    assert {(line.split("/")[0], line.rsplit(":")[-1]) for line in lines} == {("0", "1"), ("1", "2"), ("2", "0")}


def test_export_of_it_tells_the_same(alone, tmp_path, capsys, monkeypatch):
    if alone.suffix != ".ckpt":
        pytest.skip("only checkpoints are exported")
    asked = []

    def export_network(network, file_name, form, device, metadata):  # of a checkpoint it is what `alone` holds
        asked.append((form.shape, metadata))
        (tmp_path / "net.mindir").touch()
        return exporter.Exported(tmp_path / "net.mindir", 0.0)

    monkeypatch.setattr(exporter, "export_network", export_network)
    words = ["--device_target=CPU", f"--ckpt_file={alone}", f"--file_name={tmp_path / 'net'}"]
    assert run_command(export.main, words) == 0
    assert f"input 1 x 3 x {SIZE} x {SIZE}" in capsys.readouterr().out
    assert asked == [((1, 3, SIZE, SIZE), MEANT)]
