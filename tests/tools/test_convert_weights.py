"""The conversion of weights as a command: MindCV's file and every format there and back; what is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoints.weights import read_metadata, read_weights
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.config import ConfigError
from tests.helpers.deterministic import logits_of, set_weights
from tests.helpers.real_packages import CLASSES, images
from tests.helpers.weight_files import assert_same_prediction, convert, logits, need, relative_error, save_photo
from tools.convert_weights import main
from tools.weight_formats.mindcv_files import MEAN, STD

pytestmark = pytest.mark.slow


def test_logits_are_those_of_mindcv(tmp_path):
    need("mindcv")
    from mindcv.models.xception import Xception

    network = Xception(num_classes=CLASSES)
    set_weights(network)
    ms.save_checkpoint(network, str(tmp_path / "mindcv.ckpt"))
    path = convert(tmp_path / "mindcv.ckpt", tmp_path / "ours.ckpt")
    theirs = (127.5 * images(96) + 127.5 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    assert relative_error(logits(path, 96), logits_of(network, theirs.astype(np.float32))) < 1e-4


def test_a_checkpoint_says_what_mindcv_does_with_images(tmp_path):
    need("mindcv")
    from mindcv.data.transforms_factory import transforms_imagenet_eval
    from mindcv.models.xception import Xception

    ms.save_checkpoint(Xception(num_classes=CLASSES), str(tmp_path / "mindcv.ckpt"))
    options = inspect.signature(transforms_imagenet_eval).parameters
    assert (list(MEAN), list(STD)) == (options["mean"].default, options["std"].default)
    side = int(299 / options["crop_pct"].default)
    found = read_metadata(convert(tmp_path / "mindcv.ckpt", tmp_path / "ours.ckpt"))
    assert found == Metadata(
        image_size=299,
        crop_pct=299 / side,
        interpolation=options["interpolation"].default,
        provenance=Provenance("mindcv"),
    )
    assert round(found.image_size / found.crop_pct) == side
    other = read_metadata(convert(tmp_path / "mindcv.ckpt", tmp_path / "other.ckpt", "--image_size", "224"))
    assert (other.image_size, other.crop_pct) == (224, options["crop_pct"].default)


def test_a_jpeg_through_mindcvs_own_preprocessing_is_predicted_alike(tmp_path):
    need("mindcv")
    from mindcv.data import create_transforms
    from mindcv.models.xception import Xception

    network = Xception(num_classes=CLASSES)
    set_weights(network)
    ms.save_checkpoint(network, str(tmp_path / "mindcv.ckpt"))
    pixels = np.fromfile(save_photo(tmp_path), np.uint8)
    for operation in create_transforms("imagenet", image_resize=299, is_training=False):
        pixels = operation(pixels)
    path = convert(tmp_path / "mindcv.ckpt", tmp_path / "ours.ckpt")
    assert_same_prediction(path, tmp_path / "photo.jpg", logits_of(network, pixels[None]), 1e-5)


@pytest.mark.parametrize(
    ("name", "layout", "module"),
    [("a.h5", "keras", "h5py"), ("a.weights.h5", "keras", "h5py"), ("a.safetensors", "safetensors", "safetensors")],
)
def test_weights_come_back_from_every_format(small, tmp_path, name, layout, module):
    need(module)
    there = convert(small, tmp_path / name, "--to", layout)
    found, metadata, _ = read_weights(convert(there, tmp_path / "ours.ckpt"))
    expected = read_weights(small).values
    assert found.keys() == expected.keys() and metadata == Metadata()
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
        (["x.ckpt", "a.h5", "--to", "keras", "--pool_padding", "same"], "--pool_padding is for weights that come in"),
        (["x.ckpt", "a.h5", "--to", "keras", "--image_size", "99"], "--image_size is for weights that come in"),
        (["x.ckpt", "a.h5", "--to", "keras", "--class_names", "x"], "--class_names is for weights that come in"),
        (["x.h5", "a.ckpt", "--image_size", "70"], "--image_size must be 71 to 65536, got 70"),
        (["x.h5", "a.ckpt", "--num_classes", "0"], "--num_classes must be at least 1"),
        (["x.h5", "a.ckpt", "--raw"], "--raw is for files of PyTorch that come in"),
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


def test_the_moving_average_of_a_checkpoint_is_taken_and_said(small, tmp_path, capsys):
    need("safetensors")
    weights = read_weights(small).values
    entries = {
        **{f"ema.{name}": value for name, value in weights.items()},
        **{name: 0 * weights[name] for name in weights},
    }
    ms.save_checkpoint(
        [{"name": name, "data": Tensor(value)} for name, value in entries.items()], str(tmp_path / "a.ckpt")
    )
    out = convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", "--to", "safetensors")
    assert "note: took the moving average of the weights" in capsys.readouterr().out
    found = read_weights(convert(out, tmp_path / "ours.ckpt")).values
    assert np.array_equal(found["conv1.weight"], weights["conv1.weight"])
