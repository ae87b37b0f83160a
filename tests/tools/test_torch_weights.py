"""Weights of the real timm compute what they computed there, timm takes ours, and what does not fit is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.weights import read_metadata, read_weights
from src.metadata.metadata import Metadata, Provenance
from tests.helpers.project import ROOT
from tests.helpers.real_packages import CLASSES, images
from tests.helpers.weight_files import (
    PACKAGES,
    assert_same_prediction,
    assert_same_weights,
    convert,
    logits,
    need,
    relative_error,
    run_package,
    save_photo,
)
from tools.weight_formats.layers import fold_normalization

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def timm_files(tmp_path_factory) -> Path:
    need(*PACKAGES["timm"])
    folder = tmp_path_factory.mktemp("timm")
    save_photo(folder)
    run_package("timm", "make", folder, 256, 299)
    return folder


@pytest.fixture(scope="module")
def from_timm(timm_files) -> Path:
    return convert(timm_files / "plain.safetensors", timm_files / "ours.ckpt")


@pytest.mark.parametrize("size", [256, 299])
def test_logits_are_those_of_timm(timm_files, from_timm, size):
    expected = np.load(timm_files / f"made-{size}.npy")
    assert relative_error(logits(from_timm, size), expected) < 1e-4


def test_a_checkpoint_says_what_timm_does_with_images(timm_files, from_timm):
    figures = json.loads((timm_files / "figures.json").read_text())
    assert figures["mean"] == figures["std"] == [0.5] * 3 and figures["crop_mode"] == "center"
    assert read_metadata(from_timm) == Metadata(
        image_size=figures["input_size"][2],
        crop_pct=figures["crop_pct"],
        interpolation=figures["interpolation"],
        pool_padding="symmetric",
        provenance=Provenance("timm"),
    )


def test_settings_of_timms_training_program_count_and_are_folded(timm_files, tmp_path, capsys):
    found = read_metadata(convert(timm_files / "tuned" / "last.pth.tar", tmp_path / "ours.ckpt"))
    assert (found.image_size, found.crop_pct, found.interpolation) == (256, 0.95, "bilinear")
    assert (found.mean, found.std) == ((127.5,) * 3, (127.5,) * 3)
    note = "note: folded the images' mean (0.485, 0.456, 0.406) and deviation (0.229, 0.224, 0.225) into conv1 and bn1"
    assert note in capsys.readouterr().out
    assert_same_prediction(tmp_path / "ours.ckpt", timm_files / "photo.jpg", np.load(timm_files / "tuned.npy"), 1e-3)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_configuration_of_timms_hub_counts(timm_files, tmp_path, name):
    found = read_metadata(convert(timm_files / "hub" / name, tmp_path / "ours.ckpt"))
    assert found.class_names == tuple(f"name {number}" for number in range(CLASSES))
    assert (found.image_size, found.interpolation) == (96, "bilinear")
    assert round(found.image_size / found.crop_pct) == int(96 / 0.9)
    weights = read_weights(tmp_path / "ours.ckpt").values
    expected = fold_normalization(read_weights(timm_files / "ours.ckpt").values, [255 * 0.4] * 3, [127.5] * 3)
    assert all(np.array_equal(weights[name], value) for name, value in expected.items())


def test_a_jpeg_through_timms_own_preprocessing_is_predicted_alike(timm_files, from_timm):
    assert_same_prediction(from_timm, timm_files / "photo.jpg", np.load(timm_files / "photo.npy"), 1e-3)


def test_the_moving_average_in_a_checkpoint_of_timms_training_is_taken_and_said(timm_files, tmp_path, capsys):
    source = timm_files / "last.pth.tar"
    taken = convert(source, tmp_path / "taken.ckpt")
    assert "note: took state_dict_ema, the moving average of the weights: --raw takes" in capsys.readouterr().out
    assert_same_weights(taken, convert(timm_files / "average.pth", tmp_path / "average.ckpt"))
    raw = convert(source, tmp_path / "raw.ckpt", "--raw")
    assert "moving average" not in capsys.readouterr().out
    assert_same_weights(raw, convert(timm_files / "plain.pth", tmp_path / "plain.ckpt"))
    with pytest.raises(ValueError, match=r"plain.pth holds no moving average: leave out --raw"):
        convert(timm_files / "plain.pth", tmp_path / "other.ckpt", "--raw")


def test_bfloat16_is_read_exactly(timm_files, from_timm, tmp_path):
    found = read_weights(convert(timm_files / "half.safetensors", tmp_path / "ours.ckpt")).values
    expected = read_weights(from_timm).values
    for name, value in found.items():
        assert not (value.view(np.uint32) & 0xFFFF).any()
        assert np.allclose(value, expected[name], rtol=2**-8, atol=0)


def test_the_other_pool_padding_gives_other_logits_at_an_even_size(timm_files, tmp_path):
    path = convert(timm_files / "plain.pth", tmp_path / "same.ckpt", "--pool_padding", "same")
    assert relative_error(logits(path, 256), np.load(timm_files / "made-256.npy")) > 1e-3


@pytest.mark.parametrize("name", ["plain.pth", "old.pth", "wrapped.pth"])
def test_every_file_of_pytorch_gives_the_same_weights(timm_files, from_timm, tmp_path, name):
    assert_same_weights(convert(timm_files / name, tmp_path / "ours.ckpt"), from_timm)


def test_timm_loads_what_is_written_for_it(timm_files, from_timm, tmp_path):
    convert(from_timm, tmp_path / "back.pth", "--to", "timm")
    convert(from_timm, tmp_path / "back.safetensors", "--to", "safetensors")
    (tmp_path / "back.pth.json").rename(tmp_path / "json")  # what is beside is not timm's
    run_package("timm", "run", tmp_path, 256)
    for name in ("back.pth", "back.safetensors"):
        assert relative_error(np.load(tmp_path / f"{name}-256.npy"), np.load(timm_files / "made-256.npy")) < 1e-4


def test_commands_keep_the_pool_padding_of_a_checkpoint(timm_files, from_timm, tmp_path):
    words = ["--ckpt_file", str(from_timm), "--num_classes", str(CLASSES), "--batch_size", "2"]
    words += ["--width", "256", "--height", "256", "--file_name", str(tmp_path / "ours"), "--file_format", "ONNX"]
    words = [sys.executable, str(ROOT / "export.py"), *words]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    from onnxruntime import InferenceSession

    session = InferenceSession(str(tmp_path / "ours.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"images": images(256)})[0]
    assert relative_error(found, np.load(timm_files / "made-256.npy")) < 1e-4


def test_the_names_and_shapes_of_cadenes_first_files_are_taken(small, tmp_path):
    need("safetensors")
    from safetensors.numpy import load_file, save_file

    path = convert(small, tmp_path / "a.safetensors", "--to", "safetensors")
    tensors = {name.replace("fc.", "last_linear."): tensor for name, tensor in load_file(path).items()}
    flat = {name: tensor[:, :, 0, 0].copy() for name, tensor in tensors.items() if "pointwise" in name}
    counts = {
        name.replace("weight", "num_batches_tracked"): np.int64([3]) for name in tensors if name.endswith("bn1.weight")
    }
    save_file({**tensors, **flat, **counts}, path)
    assert len(flat) == 34
    assert_same_weights(convert(path, tmp_path / "ours.ckpt", "--pool_padding", "same"), small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("block3.skip.weight"), "missing: block3.skip.weight"),
        (lambda t: t.update(extra=np.zeros(1, np.float32)), "unexpected: extra"),
        (lambda t: t.pop("fc.bias"), "missing: fc.bias"),
        (lambda t: t.update({"conv2.weight": np.zeros((1, 1, 1, 1), np.float32)}), "conv2.weight has shape"),
        (lambda t: t["bn1.running_var"].__setitem__(0, -1), "a negative variance in bn1.moving_variance"),
        (lambda t: t["bn1.weight"].__setitem__(0, np.nan), "bn1.gamma that are no finite numbers"),
        (lambda t: t.update({"bn1.bias": np.zeros(32, np.int64)}), "bn1.beta that are no finite numbers"),
        (lambda t: t.update({"bn1.bias": np.full(32, 1e300)}), "bn1.beta that are no finite numbers in float32"),
        (lambda t: t.update({"bn1.weight": t["bn1.weight"][:1]}), "bn1.gamma has shape (1,) instead of (32,)"),
        (lambda t: t.update({"last_linear.weight": 2 * t["fc.weight"]}), "holds fc.weight twice, as last_linear too"),
        (lambda t: t.update({"a\nb": np.zeros(1, np.float32)}), r"unexpected: 'a\nb'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_name(small, tmp_path, change, message):
    need("safetensors")
    from safetensors.numpy import load_file, save_file

    path = convert(small, tmp_path / "a.safetensors", "--to", "safetensors")
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(ValueError, match=re.escape(message)):
        convert(path, tmp_path / "ours.ckpt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_code_in_a_pickle_is_not_run(tmp_path):
    need("torch")
    import torch

    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    torch.save({"conv1.weight": Code()}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"cannot read .*code.pth as PyTorch weights, without running code"):
        convert(tmp_path / "code.pth", tmp_path / "ours.ckpt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["code.pth"]
