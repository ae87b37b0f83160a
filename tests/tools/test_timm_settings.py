"""What timm tells beside weights is taken, or told, or refused: never passed over where it changes what comes out."""

from __future__ import annotations

import functools
import json
import re

import pytest

from tests.helpers.weight_files import need
from tools.weight_formats.timm_settings import Settings, read_settings
from tools.weight_formats.torch_archive import read_torch_file


def test_files_without_settings_tell_nothing(tmp_path):
    (tmp_path / "config.json").write_text("not for a file of this name")
    for content in (None, {}, {"args": None}, {"args": {}}, {"args": "words"}, {"epoch": 3}):
        assert read_settings(tmp_path / "a.pth", content) == Settings()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"img_size": None, "crop_pct": None, "interpolation": "", "mean": None, "std": None, "gp": None}, {}),
        (
            {"img_size": 320, "crop_pct": 0.95, "interpolation": "bilinear"},
            {"image_size": 320, "crop_pct": 0.95, "interpolation": "bilinear"},
        ),
        ({"img_size": 320, "input_size": [3, 256, 256]}, {"image_size": 256}),
        ({"img_size": [256, 256], "gp": "avg"}, {"image_size": 256}),
    ],
)
def test_settings_of_the_training_program_are_taken(tmp_path, args, said):
    found = read_settings(tmp_path / "a.pth", {"args": args})
    assert found == Settings(said)


def test_one_mean_and_deviation_stand_for_every_channel(tmp_path):
    found = read_settings(tmp_path / "a.pth", {"args": {"mean": [0.0], "std": [1.0]}})
    assert (found.mean, found.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("args", "said", "note"),
    [
        ({"input_size": [3, 256, 320]}, {"image_size": None}, "images of 256 x 320; here they are square"),
        ({"crop_pct": 1.15}, {"crop_pct": 1.0}, "crop_pct 1.15, a margin around the image"),
        ({"interpolation": "lanczos"}, {}, "the interpolation lanczos: bicubic is taken"),
        ({"crop_mode": "squash"}, {}, "crop_mode squash: here the centre is cropped"),
        ({"label_names": {"0": "a", "2": "b"}}, {}, "does not name every class"),
    ],
)
def test_what_cannot_be_done_here_is_told(tmp_path, args, said, note):
    found = read_settings(tmp_path / "a.pth", {"args": args})
    assert found.said == said and len(found.notes) == 1
    assert re.match(f"args in .*a.pth .*{re.escape(note)}", found.notes[0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"gp": "max"}, "has the pooling max, which this network cannot express"),
        ({"global_pool": "catavgmax"}, "has the pooling catavgmax"),
        ({"img_size": "large"}, "has img_size large, which is none of timm's"),
        ({"img_size": [299, 299, 3, 3, 0]}, "has img_size [299, 299, 3, 3, 0]"),
        ({"img_size": True}, "has img_size True"),
        ({"img_size": 10**5000}, "has img_size a number of very many digits"),
        ({"img_size": 65537}, "has img_size 65537"),
        ({"mean": functools.reduce(lambda inner, _: [inner], range(10**5), [])}, "has mean ["),
        ({"crop_pct": 5e-324}, "has crop_pct 5e-324"),
        ({"crop_pct": -1}, "has crop_pct -1"),
        ({"crop_pct": "0.9"}, "has crop_pct 0.9"),
        ({"mean": 0.5}, "has mean 0.5"),
        ({"mean": [123.7, 116.3, 103.5]}, "has mean [123.7, 116.3, 103.5]"),
        ({"mean": [0.5, 0.5]}, "has mean [0.5, 0.5]"),
        ({"std": [0.0]}, "has std [0.0]"),
        ({"std": [float("nan")]}, "has std [nan]"),
        ({"label_names": ["a", ""]}, "has label_names ['a', '']"),
        ({"label_names": "a\nb"}, r"has label_names 'a\nb'"),
    ],
)
def test_settings_that_are_none_are_refused_in_one_line(tmp_path, args, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_settings(tmp_path / "a.pth", {"args": args})
    assert "a.pth" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("one_level", [True, False])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_configuration_of_the_hub_is_taken(tmp_path, one_level, name):
    images = {"input_size": [3, 96, 96], "crop_pct": 0.9, "interpolation": "bilinear", "mean": [0.4, 0.4, 0.4]}
    rest = {"architecture": "legacy_xception", "num_classes": 2, "label_names": {"1": "b", "0": "a"}}
    told = images if one_level else {"pretrained_cfg": images, "model_args": {"global_pool": "avg"}}
    config = {**rest, **told}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = read_settings(tmp_path / name, None)
    said = {"image_size": 96, "crop_pct": 0.9, "interpolation": "bilinear", "class_names": ("a", "b")}
    assert found == Settings(said, mean=(0.4, 0.4, 0.4))
    assert read_settings(tmp_path / "other.safetensors", None) == Settings()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b'{"pretrained_cfg": 3}', b'{"model_args": []}', b"[" * 10**5]
)
def test_a_damaged_configuration_is_one_line(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^cannot read .*config.json, the settings of model.safetensors: [^\n]*$"):
        read_settings(tmp_path / "model.safetensors", None)


def test_a_namespace_keeps_its_plain_values_and_no_object_is_made(tmp_path):
    need("torch")
    from argparse import Namespace
    from pathlib import Path

    import torch

    class Other:
        def __init__(self):
            self.img_size = 5

    Other.__qualname__ = "Other"
    globals()["Other"] = Other
    try:
        torch.save({"args": Namespace(img_size=256, mean=[0.5], data=Path("x")), "other": Other()}, tmp_path / "a.pth")
    finally:
        del globals()["Other"]
    found = read_torch_file(tmp_path / "a.pth")
    assert read_settings(tmp_path / "a.pth", found).said == {"image_size": 256}
    assert not hasattr(found["other"], "img_size") and not isinstance(found["args"], Namespace)
