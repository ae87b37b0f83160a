"""The conversion of weights as a command: MindCV's file and every format there and back; what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoints.weights import read_weights
from src.model_utils.config import ConfigError
from tests.helpers.deterministic import set_weights
from tests.helpers.real_packages import CLASSES, images
from tests.helpers.weight_files import convert, logits, need, relative_error
from tools.convert_weights import main

pytestmark = pytest.mark.slow


def test_logits_are_those_of_mindcv(tmp_path):
    need("mindcv")
    from mindcv.models.xception import Xception

    network = Xception(num_classes=CLASSES).set_train(False)
    set_weights(network)
    ms.save_checkpoint(network, str(tmp_path / "mindcv.ckpt"))
    path = convert(tmp_path / "mindcv.ckpt", tmp_path / "ours.ckpt")
    assert relative_error(logits(path, 96), network(Tensor(images(96))).asnumpy()) < 1e-4


@pytest.mark.parametrize(
    ("name", "layout", "module"),
    [("a.h5", "keras", "h5py"), ("a.weights.h5", "keras", "h5py"), ("a.safetensors", "safetensors", "safetensors")],
)
def test_weights_come_back_from_every_format(small, tmp_path, name, layout, module):
    need(module)
    there = convert(small, tmp_path / name, "--to", layout)
    found, padding = read_weights(convert(there, tmp_path / "ours.ckpt", "--pool_padding", "same"))
    expected, _ = read_weights(small)
    assert found.keys() == expected.keys() and padding == "same"
    assert all(np.allclose(found[key], value, rtol=1e-6, atol=0) for key, value in expected.items())


@pytest.mark.parametrize(
    ("name", "module"),
    [("a.h5", "h5py"), ("a.keras", "h5py"), ("a.pth", "torch"), ("a.safetensors", "safetensors"), ("a.ckpt", "numpy")],
)
@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 50])
def test_a_damaged_file_is_one_error_with_its_name(tmp_path, name, module, content):
    need(module)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"cannot read .*{re.escape(name)}"):
        convert(tmp_path / name, tmp_path / "ours.ckpt")


def test_a_checkpoint_of_this_project_is_not_taken_for_mindcvs(small, tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint of this project already"):
        convert(small, tmp_path / "ours.ckpt")


def test_an_existing_file_stays_unless_overwriting_is_asked_for(small, tmp_path):
    need("safetensors")
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    with pytest.raises(ConfigError, match=r"exists: choose another name, or add --overwrite"):
        convert(small, out, "--to", "safetensors")
    assert out.read_text() == "mine"
    convert(small, out, "--to", "safetensors", "--overwrite")
    assert out.stat().st_size > 80e6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.h5", "a.ckpt"], "no file absent.h5"),
        (["x.unknown", "a.ckpt"], "say whose it is, as --from="),
        (["x.h5", "a.pth"], "OUT must end in .ckpt"),
        (["x.ckpt", "a.keras", "--to", "keras"], "OUT must end in .h5"),
        (["x.ckpt", "a.h5", "--to", "keras", "--pool_padding", "same"], "leave them out with --to"),
        (["x.h5", "a.ckpt", "--num_classes", "0"], "--num_classes must be at least 1"),
        (["x.ckpt", "x.ckpt", "--overwrite"], "SRC and OUT are the same file"),
    ],
)
def test_a_call_that_does_not_fit_together_is_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("x.h5", "x.ckpt", "x.unknown"):
        Path(name).touch()
    with pytest.raises(ConfigError, match=re.escape(message)):
        main(words)


def test_a_network_of_another_padding_than_its_package_is_named(small, tmp_path, capsys):
    need("safetensors")
    convert(small, tmp_path / "a.safetensors", "--to", "safetensors")
    assert "note: this network pads max pooling 'same', that of safetensors 'symmetric'" in capsys.readouterr().out
