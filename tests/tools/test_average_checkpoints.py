"""The mean of checkpoints of one network, each counted once; what does not fit together is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints import average
from src.checkpoints.weights import load_network, save_weights
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.command import run_command
from src.Xception import xception
from tests.helpers.small_network import build
from tools.average_checkpoints import main

METADATA = Metadata(("a", "b"), 71, provenance=Provenance("training", {"mindspore": "2.10.0"}, {"seed": 1}, 5))


def fill(network: nn.Cell, value: float) -> nn.Cell:
    for parameter in network.get_parameters():
        if not parameter.name.startswith("dropout."):
            parameter.set_data(Tensor(np.full(parameter.shape, value, np.float32)))
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Checkpoints full of 1, 3 and, twice, 5; of these the training differs in its seed alone."""
    folder = tmp_path_factory.mktemp("averaged")
    network = xception(2)
    for name, value in (("1", 1), ("2", 3), ("3", 5), ("best", 5)):
        provenance = replace(METADATA.provenance, recipe={"seed": value})
        save_weights(folder / f"{name}.ckpt", fill(network, value), replace(METADATA, provenance=provenance))
    return folder


def test_the_mean_is_of_all_weights_and_statistics_and_tells_what_they_share(folder, tmp_path, capsys):
    assert run_command(main, [str(tmp_path / "out.ckpt"), str(folder), str(folder / "1.ckpt")]) == 0
    *counted, repeated, written = capsys.readouterr().out.splitlines()
    assert counted == [f"averaged {folder / name}.ckpt" for name in "123"]
    assert repeated == f"left out {folder / 'best.ckpt'}: it holds the weights of another one"
    assert written == f"wrote {tmp_path / 'out.ckpt'}: the mean of 3 checkpoints"
    network, metadata, _ = load_network(tmp_path / "out.ckpt")
    for parameter in network.get_parameters():
        if not parameter.name.startswith("dropout."):
            assert (parameter.asnumpy() == 3).all(), parameter.name
    assert metadata == replace(METADATA, provenance=replace(METADATA.provenance, recipe={}))


@pytest.mark.parametrize(
    ("network", "metadata", "message"),
    [
        ({}, replace(METADATA, image_size=99), "checkpoint b has image size 99, but a 71: their mean would be neither"),
        ({}, replace(METADATA, pool_padding="symmetric"), "checkpoint b has pool padding symmetric, but a same"),
        ({}, None, "checkpoint b does not tell what its weights mean, as a does: leave one out"),
        ({"num_classes": 9}, METADATA, r"checkpoint b has fc.weight \(9, 2\), but a \(4, 2\)"),
        ({"value": np.nan}, METADATA, "weight of checkpoint b is NaN or infinite: leave it out"),
        ({"value": 1}, METADATA, "there is nothing to average: 2 files hold the weights of one, a"),
    ],
)
def test_what_does_not_fit_together_is_refused(monkeypatch, network, metadata, message):
    options = dict(network)
    small = fill(build(num_classes=options.pop("num_classes", 4))[0], options.get("value", 2))
    stored = {"a": (fill(build()[0], 1), METADATA, False), "b": (small, metadata, False)}
    monkeypatch.setattr(average, "load_network", lambda path, use_average: stored[str(path)])
    with pytest.raises(ValueError, match=message):
        average.average_checkpoints([Path("a"), Path("b")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{out}.pth", "{folder}"], "OUT must end in .ckpt"),
        (["{folder}/1.ckpt", "{folder}/2.ckpt", "{folder}/3.ckpt"], "1.ckpt exists: choose another name"),
        (["{folder}/1.ckpt", "{folder}", "--overwrite"], "1.ckpt is OUT and one of the checkpoints"),
    ],
)
def test_no_file_is_lost(folder, tmp_path, capsys, *, words, message):
    before = (folder / "1.ckpt").read_bytes()
    assert run_command(main, [word.format(folder=folder, out=tmp_path / "out") for word in words]) == 2
    assert message in capsys.readouterr().err
    assert (folder / "1.ckpt").read_bytes() == before
