"""Models of the real Keras with an Xception inside give their own probabilities here, or are refused."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.weights import load_network, read_metadata, read_weights
from tests.helpers.deterministic import logits_of
from tests.helpers.weight_files import PACKAGES, assert_same_weights, convert, need, run_package

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    need(*PACKAGES["keras"])
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "raw.npy", np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32))
    run_package("keras", "models", folder)
    return folder


def probabilities(checkpoint: Path, raw: np.ndarray) -> np.ndarray:
    images = (raw - 127.5) / 127.5
    powers = np.exp(logits_of(load_network(checkpoint).network, images.transpose(0, 3, 1, 2).astype(np.float32)))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{layout}.{suffix}" for layout in ("plain", "plain_row") for suffix in ("keras", "h5", "weights.h5")),
        *("one.keras", "one.h5", "scaled.keras", "operators.keras"),
    ],
)
def test_a_network_inside_a_model_gives_the_models_probabilities(models, tmp_path, capsys, name):
    found = probabilities(convert(models / name, tmp_path / "ours.ckpt"), np.load(models / "raw.npy"))
    expected = np.load(models / f"{name}.npy")
    if name.startswith("one"):
        assert "its one output, taken for a sigmoid, became two classes" in capsys.readouterr().out
        expected = np.concatenate([1 - expected, expected], axis=1)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_what_a_file_of_weights_does_not_tell_is_said(models, tmp_path, capsys):
    convert(models / "plain.weights.h5", tmp_path / "ours.ckpt")
    assert "note: a file of weights does not tell what follows its classifier: taken for" in capsys.readouterr().out
    convert(models / "plain.keras", tmp_path / "other.ckpt")
    printed = capsys.readouterr().out
    assert "a file of weights does not tell" not in printed
    assert "note: Keras resizes a whole image to a square; here its middle square is taken" in printed


@pytest.mark.parametrize("name", ["plain.keras", "plain.h5", "plain_row.keras", "plain_row.h5"])
def test_the_size_of_the_images_is_the_models(models, tmp_path, capsys, name):
    found = read_metadata(convert(models / name, tmp_path / "ours.ckpt"))
    assert (found.image_size, found.crop_pct, found.interpolation) == (96, 1, "bilinear")
    other = read_metadata(convert(models / name, tmp_path / "other.ckpt", "--image_size", "128"))
    assert other.image_size == 128
    assert f"note: --image_size=128 counts, though {models / name} says 96" in capsys.readouterr().out


def test_images_that_are_no_squares_are_told(models, tmp_path, capsys):
    shape = r'("batch_shape": \[null, 96), 96'
    path = with_description(models / "plain.keras", tmp_path, shape, r"\1, 128")
    assert read_metadata(convert(path, tmp_path / "ours.ckpt")).image_size is None
    assert "note: the model takes images of 96 x 128; here they are square: add --image_size" in capsys.readouterr().out


def test_a_crop_of_the_model_itself_is_refused(models, tmp_path):
    path = with_description(models / "one.keras", tmp_path, '"class_name": "RandomFlip"', '"class_name": "RandomCrop"')
    with pytest.raises(ValueError, match=r"\(RandomCrop\): it stands before the first convolution"):
        convert(path, tmp_path / "ours.ckpt")


def with_description(source: Path, folder: Path, pattern: str, replacement: str) -> Path:
    """Write a .keras file with another description of its model."""
    path = folder / "a.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = re.sub(pattern, replacement, content.decode()).encode()
            new.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sigmoids.keras", "cannot express the layer dense.* a sigmoid for each of 7 classes"),
        ("sigmoids.h5", "cannot express the layer dense.* a sigmoid for each of 7 classes"),
        ("maximum.h5", r"cannot express the layer global_max_pooling2d\w* \(GlobalMaxPooling2D\)"),
        ("maximum.weights.h5", r"mentions a layer global_max_pooling2d.*convert the .keras or .h5 file of the whole"),
        ("scaled.weights.h5", r"mentions a layer rescaling.*convert the .keras or .h5 file of the whole model"),
    ],
)
def test_a_model_that_computes_something_else_is_refused(models, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        convert(models / name, tmp_path / "ours.ckpt")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r'"epsilon": 0.001', '"epsilon": 0.01', r"BatchNormalization\): epsilon is 0.01 instead of 0.001"),
        (r'"activation": "relu"', '"activation": "elu"', r"activation is elu instead of relu"),
        (r'"class_name": "MaxPooling2D"', '"class_name": "AveragePooling2D"', r"AveragePooling2D\): Xception has none"),
        (r'"strides": \[2, 2\], "padding": "valid"', '"strides": [1, 1], "padding": "valid"', "other strides or padd"),
        (r'"class_name": "Dropout"', '"class_name": "Unheard"', r"\(Unheard\): the classifier follows the pooling"),
        (r'"class_name": "Functional"', '"class_name": "Mine"', None),
        (r'"layers"', '"parts"', "cannot read the description of the model"),
        (r"^\{", "[", "cannot read the description of the model"),
    ],
)
def test_a_description_with_another_setting_is_refused(models, tmp_path, pattern, replacement, message):
    path = with_description(models / "plain.keras", tmp_path, pattern, replacement)
    if message is None:
        convert(path, tmp_path / "ours.ckpt")
        return
    with pytest.raises(ValueError, match=message):
        convert(path, tmp_path / "ours.ckpt")


def test_an_archive_without_description_or_that_swells_is_refused(models, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps({}))
        file.writestr("model.weights.h5", bytes(10**8))
    with pytest.raises(ValueError, match=r"a.keras declares 100,000,002 bytes, but has [0-9,]+: it is damaged"):
        convert(path, tmp_path / "ours.ckpt")
    with zipfile.ZipFile(models / "plain.keras") as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    with pytest.raises(ValueError, match=r"cannot read .*a.keras as a Keras file.*config.json"):
        convert(path, tmp_path / "ours.ckpt")


def test_the_layer_names_of_the_first_files_are_matched_by_their_order(models, tmp_path):
    import h5py

    kinds = {1: "convolution2d", 2: "separableconvolution2d", 4: "batchnormalization"}
    counts = dict.fromkeys(kinds.values(), 0)
    with h5py.File(models / "no_top.h5") as new, h5py.File(tmp_path / "old.h5", "w") as old:
        names = []
        for name in new.attrs["layer_names"]:
            variables = [variable.rpartition("/")[2] for variable in new[name].attrs["weight_names"]]
            if not variables:
                continue
            kind = kinds[len(variables)]
            counts[kind] += 1
            layer = f"{kind}_{counts[kind]}"
            names.append(layer.encode())
            group = old.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}_{variable}:0".encode() for variable in variables]
            for variable, source in zip(variables, new[name].attrs["weight_names"], strict=True):
                group[f"{layer}_{variable}:0"] = new[name][source][()]
        old.attrs["layer_names"] = names
    found = convert(tmp_path / "old.h5", tmp_path / "ours.ckpt", "--num_classes", "3")
    expected = convert(models / "no_top.weights.h5", tmp_path / "expected.ckpt", "--num_classes", "3")
    (first, _, _), (second, _, _) = read_weights(found), read_weights(expected)
    assert all(np.array_equal(first[name], second[name]) for name in first if not name.startswith("fc."))


def test_a_network_of_which_a_part_was_trained_on_is_read_whole(models, tmp_path):
    """A file lists what was trained first, so later layers before earlier ones."""
    import h5py

    shuffled = tmp_path / "a.h5"
    shuffled.write_bytes((models / "plain.h5").read_bytes())
    with h5py.File(shuffled, "a") as file:
        group = file["model_weights/xception"]
        names = list(group.attrs["weight_names"])
        late = [name for name in names[120:] if "moving" not in name]
        del group.attrs["weight_names"]
        group.attrs["weight_names"] = [*late, *(name for name in names if name not in late)]
    assert_same_weights(
        convert(shuffled, tmp_path / "a.ckpt"), convert(models / "plain.h5", tmp_path / "expected.ckpt")
    )
