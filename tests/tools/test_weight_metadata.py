"""What weights mean goes with them into files for other packages, and comes back; what a person says counts first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.checkpoints.weights import read_metadata, read_weights, save_weights
from src.metadata.metadata import Metadata
from src.metadata.model_entries import METADATA_KEY
from src.model_utils.config import ConfigError
from src.Xception import xception
from tests.helpers.real_packages import CLASSES
from tests.helpers.weight_files import convert, need
from tools.weight_formats.keras_files import to_keras
from tools.weight_formats.torch_files import to_torch

pytestmark = pytest.mark.slow

FORMATS = [
    ("a.h5", "keras", "h5py"),
    ("a.weights.h5", "keras", "h5py"),
    ("a.safetensors", "safetensors", "safetensors"),
    ("a.pth", "timm", "torch"),
    ("a.pt", "timm", "torch"),
]


@pytest.mark.parametrize(("name", "layout", "module"), FORMATS)
def test_metadata_comes_back_from_every_format(described, tmp_path, name, layout, module):
    need(module)
    there = convert(described, tmp_path / name, "--to", layout)
    found = read_weights(convert(there, tmp_path / "ours.ckpt"))
    expected = read_weights(described)
    assert found.metadata == expected.metadata and len(found.metadata.to_json()) > 1 << 16
    tolerance = 1e-6 if layout == "keras" else 0  # of gamma, which stands for another epsilon there
    assert all(np.allclose(found.values[key], value, tolerance, 0) for key, value in expected.values.items())


def test_what_a_file_says_is_printed(described, tmp_path, capsys):
    need("torch")
    out = convert(described, tmp_path / "a.pth", "--to", "timm")
    told = "7 classes with names, symmetric pool padding, images of 128 x 128, crop 0.9, bicubic"
    assert f"wrote {out}: {told}\nwrote {out}.json: the same" in capsys.readouterr().out


def test_the_json_beside_a_file_is_replaced_on_request_only(described, tmp_path):
    need("torch")
    out, beside = tmp_path / "a.pth", tmp_path / "a.pth.json"
    beside.write_text("mine")
    with pytest.raises(ConfigError, match=r"a.pth.json exists: choose another name, or add --overwrite"):
        convert(described, out, "--to", "timm")
    assert beside.read_text() == "mine" and not out.exists()
    convert(described, out, "--to", "timm", "--overwrite")
    assert json.loads(beside.read_text())["image_size"] == 128
    convert(described, tmp_path / "a.safetensors", "--to", "safetensors")
    assert not (tmp_path / "a.safetensors.json").exists()


def test_the_json_of_other_weights_is_refused(described, tmp_path):
    need("torch")
    convert(described, tmp_path / "a.pth", "--to", "timm")
    save_weights(tmp_path / "b.ckpt", xception(CLASSES), read_metadata(described))
    convert(tmp_path / "b.ckpt", tmp_path / "b.pth", "--to", "timm")
    (tmp_path / "b.pth.json").replace(tmp_path / "a.pth.json")
    with pytest.raises(ValueError, match=r"a.pth.json describes other weights than those in .*a.pth"):
        convert(tmp_path / "a.pth", tmp_path / "ours.ckpt")
    assert not (tmp_path / "ours.ckpt").exists()


@pytest.mark.parametrize(("name", "write"), [("a.h5", to_keras), ("a.safetensors", to_torch)])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (Metadata(class_names=("a", "b")).to_json(), r"a\..* has 2 class names, but the classifier has 7 classes"),
        ("{", r"^the metadata in .*a\..* is damaged: it is no JSON with a format number$"),
        ('{"format": 2}', r"^the metadata in .*a\..* has format 2, .*: use a newer version of this project$"),
    ],
)
def test_metadata_that_cannot_be_is_refused(small, tmp_path, name, write, text, message):
    need("h5py", "safetensors")
    content = write(read_weights(small).values, tmp_path / name, SimpleNamespace(to_json=lambda: text))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / name, tmp_path / "ours.ckpt")
    assert not (tmp_path / "ours.ckpt").exists()


def test_metadata_in_hdf5_that_is_no_text_of_the_file_is_refused(small, tmp_path):
    need("h5py")
    import h5py

    path = convert(small, tmp_path / "a.weights.h5", "--to", "keras")
    for value in (np.zeros(3), h5py.ExternalLink("other.h5", "/text")):
        with h5py.File(path, "a") as file:
            del file[METADATA_KEY]
            file[METADATA_KEY] = value
        with pytest.raises(ValueError, match=r"a.weights.h5 (holds no text under|keeps) xception.metadata"):
            convert(path, tmp_path / "ours.ckpt")


def test_what_a_person_says_counts_and_the_difference_is_told(described, tmp_path, capsys):
    need("safetensors")
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{number}\n" for number in range(CLASSES)))
    there = convert(described, tmp_path / "a.safetensors", "--to", "safetensors")
    capsys.readouterr()
    options = ["--class_names", str(names), "--image_size", "96", "--pool_padding", "same"]
    found = read_metadata(convert(there, tmp_path / "ours.ckpt", *options))
    expected = replace(read_metadata(described), image_size=96, pool_padding="same")
    assert found == replace(expected, class_names=tuple(map(str, range(CLASSES))))
    printed = capsys.readouterr().out
    assert f"note: --image_size=96 counts, though {there} says 128\n" in printed
    assert f"note: --pool_padding=same counts, though {there} says symmetric\n" in printed
    assert f"note: --class_names={names} counts, though {there} says n\u00e4me" in printed
    options = ["--image_size", "128", "--pool_padding", "symmetric", "--overwrite"]
    assert read_metadata(convert(there, tmp_path / "ours.ckpt", *options)) == read_metadata(described)
    assert "note" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no file names.txt: --class_names is a text file with a name a line"),
        ("a\nb\n", "names.txt has 2 class names, but the classifier has 7 classes"),
        ("a\n\nc\nd\ne\nf\ng\n", "names.txt has no name in line 2"),
        (b"\xff\xfe", "names.txt is no UTF-8 text"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(small, tmp_path, monkeypatch, content, message):
    need("safetensors")
    monkeypatch.chdir(tmp_path)
    there = convert(small, Path("a.safetensors"), "--to", "safetensors")
    if content is not None:
        Path("names.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((ConfigError, ValueError), match=f"^{re.escape(message)}"):
        convert(there, Path("ours.ckpt"), "--class_names", "names.txt")
    assert not Path("ours.ckpt").exists()


def test_what_is_beside_a_checkpoint_goes_with_its_weights(small, tmp_path, capsys):
    need("safetensors")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.ckpt").write_bytes(small.read_bytes())
    (tmp_path / "run" / "class_names.txt").write_text("".join(f"{number}\n" for number in range(CLASSES)))
    (tmp_path / "a.ckpt").symlink_to(tmp_path / "run" / "a.ckpt")
    there = convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", "--to", "safetensors")
    told = r"note: .*a.ckpt does not tell its class names: taken from .*run/class_names.txt"
    assert re.search(told, capsys.readouterr().out)
    found = read_metadata(convert(there, tmp_path / "ours.ckpt"))
    assert found.class_names == tuple(map(str, range(CLASSES)))
    (tmp_path / "run" / "class_names.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"class_names.txt has 1 class names, but the classifier has 7 classes"):
        convert(tmp_path / "a.ckpt", tmp_path / "b.safetensors", "--to", "safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_one_class_of_this_project_stays_one(tmp_path):
    need("safetensors")
    save_weights(tmp_path / "a.ckpt", xception(1), Metadata(class_names=("only",)))
    there = convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", "--to", "safetensors")
    found = read_weights(convert(there, tmp_path / "ours.ckpt"))
    assert found.values["fc.bias"].shape == (1,) and found.metadata.class_names == ("only",)
