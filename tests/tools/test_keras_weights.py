"""Weights of the real Keras compute what they computed there, Keras takes ours, and what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoints.weights import read_metadata, read_weights, save_weights
from src.metadata.metadata import Metadata, Provenance
from src.Xception import xception
from tests.helpers.real_packages import CLASSES
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

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory) -> Path:
    need(*PACKAGES["keras"])
    folder = tmp_path_factory.mktemp("keras")
    save_photo(folder)
    run_package("keras", "make", folder, 299)
    return folder


@pytest.fixture(scope="module")
def from_keras(keras_files) -> Path:
    return convert(keras_files / "new.weights.h5", keras_files / "ours.ckpt")


def test_logits_are_those_of_keras_at_299(keras_files, from_keras):
    assert relative_error(logits(from_keras, 299), np.load(keras_files / "made-299.npy")) < 1e-4


def test_a_checkpoint_says_what_keras_does_with_images(keras_files, from_keras, tmp_path):
    figures = json.loads((keras_files / "figures.json").read_text())
    assert not figures["crop_to_aspect_ratio"] and not figures["pad_to_aspect_ratio"]
    expected = Metadata(
        image_size=figures["sides"][0],
        crop_pct=1,
        interpolation=figures["interpolation"],
        provenance=Provenance("keras"),
    )
    assert read_metadata(from_keras) == expected
    told = replace(expected, provenance=Provenance("keras", {"keras": figures["version"]}))
    for name in ("whole.h5", "whole.keras", "legacy.h5"):
        assert read_metadata(convert(keras_files / name, tmp_path / f"{name}.ckpt")) == told


def test_a_jpeg_through_kerass_own_preprocessing_is_predicted_alike(keras_files, from_keras):
    assert_same_prediction(from_keras, keras_files / "photo.jpg", np.load(keras_files / "photo.npy"), 3e-4)


@pytest.mark.parametrize("name", ["legacy.h5", "whole.h5", "whole.keras"])
def test_every_file_of_keras_gives_the_same_weights(keras_files, from_keras, tmp_path, name):
    assert_same_weights(convert(keras_files / name, tmp_path / "ours.ckpt"), from_keras)


def test_keras_loads_what_is_written_for_it(keras_files, described, tmp_path):
    whole = read_weights(convert(keras_files / "new.weights.h5", tmp_path / "ours.ckpt")).values
    network = xception(CLASSES)
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(whole[parameter.name]))
    from_keras = tmp_path / "long.ckpt"
    save_weights(from_keras, network, read_metadata(described))  # too long for an attribute
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
    weights = read_weights(convert(source, out, "--num_classes", "3")).values
    whole = read_weights(from_keras).values
    assert weights["fc.weight"].shape == (3, 2048) and weights["fc.bias"].shape == (3,)
    assert all(np.array_equal(weights[name], whole[name]) for name in whole if not name.startswith("fc."))
    with pytest.raises(ValueError, match=r"has a classifier of 7 classes: leave out --num_classes=3"):
        convert(keras_files / "new.weights.h5", tmp_path / "other.ckpt", "--num_classes", "3")


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
