"""What a training writes of itself, and what it says where it differs from the one that it goes on with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from src.checkpoints.position import Position
from src.data.image_source import open_images
from src.data.usable_images import UsableImages
from src.metadata.metadata import Metadata, Provenance, parse_metadata
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training.describe import describe, describe_run, go_on
from src.training.origin import Origin
from src.training.resume import Start

WORDS = ("--image_size=71", "--batch_size=32", "--epoch_size=9")


def configuration(*words: str, device: str = "CPU") -> Config:
    return parse_config([*WORDS, *words], lambda _: device)


def images_in(folder: Path, *files: str) -> UsableImages:
    for name in files or ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    source = open_images(str(folder))
    return UsableImages(source, sum(source.counts().values()))


@pytest.fixture
def images(tmp_path) -> UsableImages:
    return images_in(tmp_path / "train")


def described(images: UsableImages, *words: str, ranks: int = 1, device: str = "CPU") -> Metadata:
    return describe(configuration(*words, device=device), ranks, images, ("a", "b"), has_library=False)


def note(before: Metadata, now: Metadata) -> str:
    """Return what is said where one goes on with the other."""
    origin = Origin(Path("x.ckpt"), True, parse_metadata(before.to_json(), "x.ckpt"), 2)
    return go_on(origin, now, Position(2, 3, 5))[1]


def test_all_that_weights_mean_is_told(images):
    metadata = described(images, "--crop_pct=0.9", "--interpolation=bicubic", ranks=2)
    assert metadata.class_names == ("a", "b")
    assert (metadata.image_size, metadata.crop_pct, metadata.interpolation) == (71, 0.9, "bicubic")
    assert (metadata.amp_level, metadata.colour_order, metadata.mean) == ("O0", "RGB", (127.5,) * 3)
    assert described(images, device="GPU").amp_level == "O2"
    provenance = metadata.provenance
    assert (provenance.source, provenance.images) == ("training", 3)
    assert provenance.training_list == images.source.digest()
    assert provenance.versions["mindspore"] == ms.__version__ and provenance.versions["numpy"] == np.__version__
    assert provenance.versions["python"].startswith("3.")
    assert {"seed": 1, "batch_size": 32, "ranks": 2, "epoch_size": 9, "ema_decay": 0.0}.items() <= (
        provenance.recipe.items()
    )
    assert parse_metadata(metadata.to_json(), "x") == metadata


def test_settings_are_told_as_they_take_effect(images):
    recipe = described(images, "--use_label_smooth=False", "--lr_decay_mode=liner", "--num_parallel_workers=3")
    assert recipe.provenance.recipe["label_smooth_factor"] == 0
    assert recipe.provenance.recipe["lr_decay_mode"] == "linear"
    assert recipe.provenance.recipe["num_parallel_workers"] == 3
    assert recipe.provenance.recipe["loss_scale"] == 1
    assert "momentum" not in described(images, "--optimizer=lamb").provenance.recipe
    assert described(images, "--pretrained=/a/b.ckpt").provenance.recipe["pretrained"] == "b.ckpt"
    assert "resume" not in described(images, "--resume=auto").provenance.recipe


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed=2"], "seed 1 -> 2"),
        (["--seed=2", "--batch_size=64"], "seed 1 -> 2, batch_size 32 -> 64"),
        (["--epoch_size=12"], "epoch_size 9 -> 12"),
        (["--image_size=96"], "image_size 71 -> 96"),
        (["--amp_level=O2"], "amp_level O0 -> O2"),
        (["--lr_max=0.1", "--lr_decay_mode=cosine"], "lr_decay_mode linear -> cosine, lr_max 0.4 -> 0.1"),
        (["--optimizer=nesterov", "--layer_decay=0.5"], "optimizer momentum -> nesterov, layer_decay 1.0 -> 0.5"),
        (["--scale_lr=True"], "lr_scale 1.0 -> 0.03125"),
        (
            ["--loss_scale_mode=dynamic", "--amp_level=O2"],
            "loss_scale_mode fixed -> dynamic, loss_scale 1.0 -> 1024.0, amp_level O0 -> O2",
        ),
        (["--rand_augment=9"], "color_jitter 0.4 -> 0.0, rand_augment 0 -> 9, rand_augment_layers 0 -> 2"),
        (["--auto_augment=autoaugment"], "color_jitter 0.4 -> 0.0, auto_augment none -> autoaugment"),
        (
            ["--vertical_flip=0.5", "--color_jitter=0.1", "--dropout_rate=0.2"],
            "dropout_rate 0.5 -> 0.2, vertical_flip 0.0 -> 0.5, color_jitter 0.4 -> 0.1",
        ),
        (["--use_label_smooth=False"], "label_smooth_factor 0.1 -> 0.0"),
        (["--ema_decay=0.9", "--freeze=features"], "ema_decay 0.0 -> 0.9, freeze none -> features"),
    ],
)
def test_what_differs_is_one_line(images, words, said):
    before = described(images, "--num_parallel_workers=2")
    now = described(images, "--num_parallel_workers=2", *words)
    assert note(before, now) == f"this is not the uninterrupted run of x.ckpt: {said}"


def test_the_number_of_ranks_and_another_mindspore_are_told(images):
    before = described(images, ranks=8)
    versions = {**before.provenance.versions, "mindspore": "2.9.0", "python": "3.8"}
    before = replace(before, provenance=replace(before.provenance, versions=versions))
    assert note(before, described(images)).endswith(f": ranks 8 -> 1, mindspore 2.9.0 -> {ms.__version__}")


@pytest.mark.parametrize(
    "words",
    [
        [], ["--log_steps=1", "--lr_decay_mode=liner"], ["--rand_augment_layers=3"], ["--test_data_dir=x"], ["--debug"],
        ["--color_jitter=0.4", "--auto_augment=none"],
        ["--sync_bn", "--loss_scale_mode=dynamic", "--loss_scale=2"], ["--eval_while_train", "--keep_checkpoint_max=1"],
        ["--save_checkpoint_path=elsewhere", "--resume=x.ckpt"],
    ],
)  # fmt: skip
def test_nothing_is_said_where_nothing_differs(images, words):
    assert note(described(images, "--pretrained=a.ckpt"), described(images, *words)) == ""


def test_an_earlier_versions_checkpoint_is_known_to_have_had_the_recipes_augmentation_and_dropout(images):
    def earlier(*words: str) -> Metadata:
        metadata = described(images, *words)
        added = ("vertical_flip", "color_jitter", "auto_augment", "dropout_rate")
        recipe = {name: value for name, value in metadata.provenance.recipe.items() if name not in added}
        return replace(metadata, provenance=replace(metadata.provenance, recipe=recipe))

    for words in ([], ["--rand_augment=9"]):
        assert note(earlier(*words), described(images, *words)) == ""
    assert note(earlier(), described(images, "--dropout_rate=0", "--auto_augment=trivialaugment")).endswith(
        ": dropout_rate 0.5 -> 0.0, color_jitter 0.4 -> 0.0, auto_augment none -> trivialaugment"
    )


def test_other_images_are_told(tmp_path, images, records):
    before = described(images)
    fewer, others = images_in(tmp_path / "few", "a/1.jpg", "b/1.jpg"), images_in(tmp_path / "o", *("a/1.jpg",) * 1)
    assert note(before, described(fewer)).endswith(": images 3 -> 2")
    others = images_in(tmp_path / "others", "a/1.jpg", "a/3.jpg", "b/1.jpg")
    assert note(before, described(others)).endswith(": other training images, as many")
    as_records = UsableImages(open_images(str(records)), 3)
    assert note(before, described(as_records)).endswith(": form of the images folders -> mindrecord")


def test_all_changes_and_where_the_training_began_are_kept(images):
    first = described(images, "--pretrained=a.ckpt")
    second, _ = go_on(Origin(Path("x.ckpt"), True, first), described(images, "--seed=2"), Position(2, 3, 5))
    third, _ = go_on(Origin(Path("y.ckpt"), True, second), described(images, "--seed=2"), Position(4, 0, 5))
    fourth, _ = go_on(Origin(Path("z.ckpt"), True, third), described(images, "--seed=3"), Position(6, 0, 5))
    assert second.provenance.recipe["changes"] == "after epoch 2, step 3: seed 1 -> 2"
    assert third.provenance.recipe == second.provenance.recipe
    recipe = fourth.provenance.recipe
    assert recipe["changes"] == "after epoch 2, step 3: seed 1 -> 2; after epoch 6: seed 2 -> 3"
    assert (recipe["seed"], recipe["pretrained"]) == (3, "a.ckpt")


@pytest.mark.parametrize("known", [None, Metadata(), Metadata(("a", "b"), 71, provenance=Provenance("timm"))])
def test_a_checkpoint_that_does_not_tell_its_settings_is_said_to(images, known):
    now = described(images)
    metadata, said = go_on(Origin(Path("x.ckpt"), True, known), now, Position(2))
    assert metadata == now
    assert said == "x.ckpt does not tell its settings: whether this is its uninterrupted run is not known"


def test_the_first_rank_alone_describes_and_speaks(images, capsys):
    origin = Origin(Path("x.ckpt"), True, described(images))
    start = Start(Position(2), origin.path)
    arguments = (images, origin, start)
    assert describe_run(configuration("--seed=2"), Group(1, 2), *arguments, has_library=False) is None
    assert capsys.readouterr().err == ""
    describe_run(configuration("--seed=2"), ALONE, *arguments, has_library=False)
    assert capsys.readouterr().err == "this is not the uninterrupted run of x.ckpt: seed 1 -> 2\n"
    describe_run(configuration("--seed=2"), ALONE, images, origin, Start(Position()), has_library=False)
    assert capsys.readouterr().err == ""


def test_a_training_that_goes_on_keeps_the_form_of_the_names(images):
    origin = Origin(Path("x.ckpt"), True, Metadata(("caf\u00e9",)))
    found = describe_run(configuration(), ALONE, images, origin, Start(Position(2), origin.path), has_library=False)
    assert found.class_names == ("caf\u00e9",)
    new = replace(origin, is_resumed=False)
    found = describe_run(configuration(), ALONE, images, new, Start(Position()), has_library=False)
    assert found.class_names == ("a", "b")


def test_a_class_name_that_is_no_text_is_named(images):
    name = os.fsdecode(b"caf\xe9")
    with pytest.raises(ConfigError, match=r"the name of class folder 'caf\\udce9' in .*train is no UTF-8: rename it"):
        describe(configuration(), 1, images, ("a", name), has_library=False)
