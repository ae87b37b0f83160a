"""Weights decide the settings: what is given wins and is said, what they do not tell is looked for, then assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.metadata.metadata import Metadata
from src.model_utils.config import ConfigError
from src.model_utils.weights_settings import say, settle
from tests.helpers.configuration import parse

WHOLE = Metadata(class_names=("cat", "dog"), image_size=71, crop_pct=0.8975, interpolation="bicubic", amp_level="O0")


def settings_of(settled) -> tuple[object, ...]:
    config = settled.config
    return config.image_size, config.crop_pct, config.interpolation, config.amp_level


def test_what_the_weights_tell_counts_without_a_word(tmp_path):
    settled = settle(parse(), tmp_path / "net.ckpt", WHOLE).fit(2)
    assert settings_of(settled) == (71, 0.8975, "bicubic", "O0")
    assert (settled.config.num_classes, settled.metadata, settled.notes) == (2, WHOLE, ())


def test_what_is_given_wins_and_the_difference_is_said(tmp_path):
    weights = tmp_path / "net.ckpt"
    config = parse("--image_size=299", "--crop_pct=0.8975", "--interpolation=bilinear", "--amp_level=O2")
    settled = settle(config, weights, WHOLE)
    assert settings_of(settled) == (299, 0.8975, "bilinear", "O2")
    assert settled.notes == (
        f"image_size is 299, as given, though {weights} says 71",
        f"interpolation is bilinear, as given, though {weights} says bicubic",
        f"amp_level is O2, as given, though {weights} was trained in float32",
    )


def test_what_a_file_of_settings_gives_is_given_too(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("image_size: 299\nwidth: 299\nheight: 299\n")
    config = parse(f"--config_path={path}")
    assert config.is_given("image_size") and not config.is_given("crop_pct")
    assert (config.width, config.is_given("width")) == (0, False)  # so older files hold it for any image size
    assert settle(config, tmp_path / "net.ckpt", WHOLE).config.image_size == 299


def test_what_is_assumed_for_weights_that_tell_nothing_is_said(tmp_path):
    weights = tmp_path / "zoo.ckpt"
    settled = settle(parse("--image_size=71"), weights, None).fit(10)
    assert settings_of(settled) == (71, 0.934375, "bilinear", "auto")
    assumed = "crop_pct 0.934375, interpolation bilinear"
    assert settled.notes == (f"{weights} does not tell how its images are made, so this is assumed: {assumed}",)


@pytest.mark.parametrize("is_link", [False, True])
def test_files_beside_the_real_weights_tell_what_these_do_not(tmp_path, is_link):
    folder = tmp_path / "run"
    folder.mkdir()
    weights = folder / "Xception-best.ckpt"
    weights.write_bytes(b"weights")
    config = parse("--image_size=71", "--amp_level=O0", "--num_classes=2")
    (folder / "config.yaml").write_text(config.to_yaml())
    (folder / "class_names.txt").write_text("cat\ndog\n")
    if is_link:
        weights = tmp_path / "link.ckpt"
        weights.symlink_to(folder / "Xception-best.ckpt")
    settled = settle(parse(), weights, None).fit(2)
    assert settings_of(settled) == (71, 0.934375, "bilinear", "O0")
    assert settled.metadata.class_names == ("cat", "dog")
    (note,) = settled.notes
    assert note.startswith(f"{weights} does not tell its class names, image size, ")
    assert note.endswith(f"taken from {folder}/config.yaml and {folder}/class_names.txt")
    known = settle(parse(), weights, Metadata(class_names=("a", "b"), image_size=299)).metadata
    assert (known.class_names, known.image_size) == (("a", "b"), 299)


@pytest.mark.parametrize(
    ("lines", "level"),
    [
        ("config_gpu: {batch_size: 2}", "auto"),
        ("is_fp32: true\nconfig_gpu: {batch_size: 2}", "O0"),
        ("config_ascend: {}", "auto"),
        ("config_cpu: {batch_size: 2}", "O0"),
        ("amp_level: O0\nconfig_ascend: {}", "O0"),
    ],
)
def test_a_training_in_float32_is_not_computed_in_float16(tmp_path, lines, level):
    (tmp_path / "config.yaml").write_text(f"image_size: 71\n{lines}\n")
    assert settle(parse(), tmp_path / "net.ckpt", None).config.amp_level == level


def test_names_for_another_number_of_classes_are_refused_with_their_file(tmp_path):
    (tmp_path / "class_names.txt").write_text("cat\ndog\nbird\n")
    with pytest.raises(ValueError, match=r"class_names\.txt has 3 names, but .* 2 classes: it belongs to other"):
        settle(parse(), tmp_path / "net.ckpt", None).fit(2)
    with pytest.raises(ConfigError, match=r"num_classes is 3, but .* has 2 classes: use --num_classes=2, or leave"):
        settle(parse("--num_classes=3"), tmp_path / "net.ckpt", WHOLE).fit(2)


def test_given_class_names_take_the_place_of_the_weights_own(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("Katze\nHund\n")
    (tmp_path / "class_names.txt").write_text("one\n")  # others', which do not matter then
    settled = settle(parse(), tmp_path / "net.ckpt", WHOLE, names).fit(2)
    assert settled.metadata.class_names == ("Katze", "Hund")
    assert settled.notes == (f"the class names are those of {names}, as given, though {tmp_path}/net.ckpt has others",)
    with pytest.raises(ValueError, match=r"names\.txt has 2 names, .* 3 classes: give another file with"):
        settle(parse(), tmp_path / "net.ckpt", None, names).fit(3)


def test_the_only_size_that_a_model_takes_counts_and_differences_are_said():
    settled = settle(parse("--image_size=90"), Path("net.onnx"), WHOLE, only_size=299).fit(2)
    assert settled.config.image_size == 299
    assert settled.notes == (
        "image_size is 299, not 90 as given: net.onnx takes no other",
        "net.onnx takes images of 299 pixels, but was trained with 71",
    )
    assert settle(parse(), Path("net.onnx"), WHOLE, only_size=71).fit(2).notes == ()
    (note,) = settle(parse(), Path("net.onnx"), None, only_size=71).notes  # its size is no assumption
    assert note.endswith("this is assumed: crop_pct 0.934375, interpolation bilinear")


def test_a_configuration_of_another_number_of_classes_beside_weights_is_not_theirs(tmp_path):
    weights = tmp_path / "net.ckpt"
    (tmp_path / "config.yaml").write_text(parse("--image_size=71", "--num_classes=4").to_yaml())
    with pytest.raises(ValueError, match=r"config\.yaml is of a training with 4 classes, but .*net\.ckpt has 3: it"):
        settle(parse(), weights, None).fit(3)
    assert settle(parse(), weights, None).fit(4).config.image_size == 71
    assert settle(parse(), weights, WHOLE).fit(2).notes == ()  # these tell all that counts


def test_notes_are_one_line_each_whatever_names_they_hold(capsys):
    say(["class a\nb\x1b[31m of ä"])
    assert capsys.readouterr().err == "class a\\nb\\x1b[31m of ä\n"


def test_a_damaged_file_beside_weights_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("image_size: large\n")
    with pytest.raises(ConfigError, match=r"config\.yaml: key image_size: expected an integer"):
        settle(parse(), tmp_path / "net.ckpt", None)
