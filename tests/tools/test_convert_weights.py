"""Converted weights compute what they computed in the real Keras, timm and MindCV, and none is lost on the way."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Tensor, nn

from src.checkpoints.training_state import TrainingState, load_training
from src.checkpoints.weights import load_weights, read_weights, save_checkpoint
from src.model_utils.config import ConfigError
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.project import ROOT
from tests.helpers.real_packages import CLASSES, images
from tools.convert_weights import main
from tools.weight_formats.layers import change_epsilon, xception_layers

pytestmark = pytest.mark.slow

PACKAGES = {"keras": ("keras", "jax", "h5py"), "timm": ("timm", "torch", "torchvision", "safetensors")}


def need(*modules: str) -> None:
    """Skip where a package is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed (requirements-convert-test*.txt): {', '.join(missing)}")


def run_package(package: str, command: str, folder: Path, *sizes: int) -> None:
    words = [
        sys.executable,
        str(ROOT / "tests" / "helpers" / "real_packages.py"),
        package,
        command,
        str(folder),
        *map(str, sizes),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr


def convert(source: Path, out: Path, *options: str) -> Path:
    main([str(source), str(out), *options])
    return out


def logits(checkpoint: Path, size: int) -> np.ndarray:
    network = xception(CLASSES)
    load_weights(network, checkpoint)
    return network.set_train(False)(Tensor(images(size))).asnumpy()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def assert_same_weights(left: Path, right: Path) -> None:
    (first, padding), (second, other_padding) = read_weights(left), read_weights(right)
    assert first.keys() == second.keys() and padding == other_padding
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory) -> Path:
    need(*PACKAGES["keras"])
    folder = tmp_path_factory.mktemp("keras")
    run_package("keras", "make", folder, 299)
    return folder


@pytest.fixture(scope="module")
def timm_files(tmp_path_factory) -> Path:
    need(*PACKAGES["timm"])
    folder = tmp_path_factory.mktemp("timm")
    run_package("timm", "make", folder, 256, 299)
    return folder


@pytest.fixture(scope="module")
def from_keras(keras_files) -> Path:
    return convert(keras_files / "new.weights.h5", keras_files / "ours.ckpt")


@pytest.fixture(scope="module")
def from_timm(timm_files) -> Path:
    return convert(timm_files / "plain.safetensors", timm_files / "ours.ckpt")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A checkpoint with deterministic weights, and "same" padding."""
    path = tmp_path_factory.mktemp("small") / "small.ckpt"
    network = xception(CLASSES)
    set_weights(network)
    save_checkpoint(path, network)
    return path


# Agreement with the real packages


def test_logits_are_those_of_keras_at_299(keras_files, from_keras):
    assert relative_error(logits(from_keras, 299), np.load(keras_files / "made-299.npy")) < 1e-4


@pytest.mark.parametrize("name", ["legacy.h5", "whole.h5", "whole.keras"])
def test_every_file_of_keras_gives_the_same_weights(keras_files, from_keras, tmp_path, name):
    assert_same_weights(convert(keras_files / name, tmp_path / "ours.ckpt"), from_keras)


def test_keras_loads_what_is_written_for_it(keras_files, from_keras, tmp_path):
    for name in ("back.h5", "back.weights.h5"):
        convert(from_keras, tmp_path / name, "--to", "keras")
    run_package("keras", "run", tmp_path, 299)
    for name in ("back.h5", "back.weights.h5"):
        assert relative_error(np.load(tmp_path / f"{name}-299.npy"), np.load(keras_files / "made-299.npy")) < 1e-4


def test_a_keras_file_without_classifier_gets_an_untrained_one_on_request(keras_files, from_keras, tmp_path):
    source, out = keras_files / "no_top.weights.h5", tmp_path / "ours.ckpt"
    with pytest.raises(ValueError, match=r"has no classifier: add --num_classes=N"):
        convert(source, out)
    assert not out.exists()
    weights, _ = read_weights(convert(source, out, "--num_classes", "3"))
    whole, _ = read_weights(from_keras)
    assert weights["fc.weight"].shape == (3, 2048) and weights["fc.bias"].shape == (3,)
    assert all(np.array_equal(weights[name], whole[name]) for name in whole if not name.startswith("fc."))
    with pytest.raises(ValueError, match=r"has a classifier of 7 classes: leave out --num_classes=3"):
        convert(keras_files / "new.weights.h5", tmp_path / "other.ckpt", "--num_classes", "3")


@pytest.mark.parametrize("size", [256, 299])
def test_logits_are_those_of_timm(timm_files, from_timm, size):
    expected = np.load(timm_files / f"made-{size}.npy")
    assert relative_error(logits(from_timm, size), expected) < 1e-4


def test_the_other_pool_padding_gives_other_logits_at_an_even_size(timm_files, tmp_path):
    path = convert(timm_files / "plain.pth", tmp_path / "same.ckpt", "--pool_padding", "same")
    assert relative_error(logits(path, 256), np.load(timm_files / "made-256.npy")) > 1e-3


@pytest.mark.parametrize("name", ["plain.pth", "old.pth", "wrapped.pth"])
def test_every_file_of_pytorch_gives_the_same_weights(timm_files, from_timm, tmp_path, name):
    assert_same_weights(convert(timm_files / name, tmp_path / "ours.ckpt"), from_timm)


def test_timm_loads_what_is_written_for_it(timm_files, from_timm, tmp_path):
    convert(from_timm, tmp_path / "back.pth", "--to", "timm")
    convert(from_timm, tmp_path / "back.safetensors", "--to", "safetensors")
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


# What is refused


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


def test_keras_layers_that_do_not_fit_are_refused(small, tmp_path):
    need("h5py")
    import h5py

    path = convert(small, tmp_path / "a.weights.h5", "--to", "keras")
    out = tmp_path / "ours.ckpt"
    with h5py.File(path, "a") as file:
        del file["layers/separable_conv2d_4"]
    with pytest.raises(ValueError, match=r"missing: block4_sepconv1"):
        convert(path, out)
    path = convert(small, path, "--to", "keras", "--overwrite")
    with h5py.File(path, "a") as file:
        file.move("layers/batch_normalization_9", "layers/batch_normalization_99")
    with pytest.raises(ValueError, match=r"has the layer \w+ where \w+ belongs"):
        convert(path, out)
    outside = convert(small, tmp_path / "b.weights.h5", "--to", "keras")
    path = convert(small, path, "--to", "keras", "--overwrite")
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = h5py.ExternalLink(outside, "layers/dense/vars/1")
    with pytest.raises(ValueError, match=r"in another file"):
        convert(path, out)
    assert not out.exists()


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


# Padding and epsilon


def test_the_pool_padding_goes_with_the_checkpoint(tmp_path, small):
    network = xception(CLASSES, "symmetric")
    save_checkpoint(tmp_path / "a.ckpt", network)
    other = xception(CLASSES)
    load_weights(other, tmp_path / "a.ckpt")
    assert other.pool_padding == "symmetric"
    save_checkpoint(tmp_path / "b.ckpt", other)
    assert read_weights(tmp_path / "b.ckpt")[1] == "symmetric"
    load_weights(other, small)
    assert other.pool_padding == "same"
    load_training(TrainingState(other, nn.Momentum(other.trainable_params(), 0.1, 0.9)), tmp_path / "b.ckpt")
    assert other.pool_padding == "symmetric"


def test_padding_set_later_computes_what_padding_set_at_first_does():
    first, later = xception(CLASSES, "symmetric"), xception(CLASSES)
    later.set_pool_padding("symmetric")
    outputs = []
    for network in (first, later):
        set_weights(network)
        outputs.append(network.set_train(False)(Tensor(images(96))).asnumpy())
    assert np.array_equal(*outputs)
    with pytest.raises(ValueError, match=r"compiled with symmetric pool padding already: build another one"):
        later.set_pool_padding("same")
    with pytest.raises(ValueError, match=r"pool_padding must be one of same, symmetric, but got valid"):
        xception(CLASSES, "valid")


def test_a_network_of_another_padding_than_its_package_is_named(small, tmp_path, capsys):
    need("safetensors")
    convert(small, tmp_path / "a.safetensors", "--to", "safetensors")
    assert "note: this network pads max pooling 'same', that of safetensors 'symmetric'" in capsys.readouterr().out


def test_the_layers_have_every_parameter_once():
    names = [name for layer in xception_layers() for name in layer.parameters]
    assert sorted(names) == sorted(parameter.name for parameter in xception(2).get_parameters())


@given(st.floats(0, 1e3, width=32), st.floats(-10, 10, width=32), st.sampled_from([(1e-3, 1e-5), (1e-5, 1e-3)]))
def test_another_epsilon_leaves_the_factor_of_batch_norm_as_it_was(variance, gamma, epsilons):
    source, target = epsilons
    weights = {}
    for layer in xception_layers():
        if layer.kind == "norm":
            weights[f"{layer.name}.gamma"] = np.float32([gamma])
            weights[f"{layer.name}.moving_variance"] = np.float32([variance])
    changed = change_epsilon(weights, source, target)
    before, after = gamma / np.sqrt(variance + source), changed["bn1.gamma"] / np.sqrt(variance + target)
    assert np.allclose(after, before, rtol=1e-6, atol=1e-37)
    assert changed["bn1.moving_variance"] is weights["bn1.moving_variance"]
