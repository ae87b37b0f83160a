"""What the checkpoint that a training begins with says counts unless something is given; other classes are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.file import write_checkpoint
from src.checkpoints.names import checkpoint_name
from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.checkpoints.weights import save_weights
from src.metadata.metadata import Metadata
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import ALONE, Group
from src.training.origin import Origin, settle_origin
from tests.helpers.small_network import build, build_state

KNOWN = Metadata(("0", "1", "2"), 96, 0.875, "bicubic", amp_level="O0")
STEPS = 4


def save(path: Path, metadata: Metadata | None, classes: int = 3, epoch: int = 1) -> Path:
    state = replace(build_state(num_classes=classes), metadata=metadata)
    save_training(path, state, Position(epoch, 0, STEPS))
    return path


def data(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).mkdir(parents=True)
    return f"--train_data_dir={folder}"


def settle(*words: str, device: str = "CPU", group: Group = ALONE):
    return settle_origin(parse_config(list(words), lambda _: device), group)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a training on CPU, whose path is given as tmp_path."""
    return tmp_path / "model_0"


@pytest.fixture
def auto(tmp_path) -> tuple[str, str]:
    return f"--save_checkpoint_path={tmp_path}", "--resume=auto"


# Classes


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        ("127", "class 0 is '0' there and '1' here"),
        ("021", None),  # folders are sorted
        ("01", "class 2 is '2' there and missing here"),
        ("0123", "class 3 is missing there and '3' here"),
    ],
)
@pytest.mark.parametrize("how", ["file", "auto"])
def test_a_training_does_not_go_on_with_other_classes(tmp_path, folder, auto, names, difference, how):
    path = save(folder / "Xception-rank0-1_4.ckpt", KNOWN)
    words = [data(tmp_path / "other", *names), *(auto if how == "auto" else [f"--resume={path}"])]
    if difference is None:
        assert settle(*words)[1] == Origin(path, True, KNOWN, 3)
        return
    message = f"{path} names other classes than {tmp_path}/other has: {difference}; go on with the same classes, or"
    with pytest.raises(ConfigError, match=re.escape(message)):
        settle(*words)


def test_auto_does_not_pass_over_other_classes_to_an_older_checkpoint(tmp_path, folder, auto):
    save(folder / "Xception-rank0-1_4.ckpt", Metadata(("1", "2", "7")))
    newest = save(folder / "Xception-rank0-2_4.ckpt", KNOWN)
    with pytest.raises(ConfigError, match=re.escape(f"{newest} names other classes")):
        settle(data(tmp_path / "other", "1", "2", "7"), *auto)


def test_metadata_of_a_newer_version_is_not_passed_over_either(tmp_path, folder, auto):
    save(folder / "Xception-rank0-1_4.ckpt", KNOWN)
    state = build_state(num_classes=3)
    write_checkpoint(folder / "Xception-rank0-2_4.ckpt", state.network.get_parameters(), {"metadata": '{"format": 99}'})
    with pytest.raises(ValueError, match=r"2_4\.ckpt has format 99"):
        settle(data(tmp_path / "train", "0", "1", "2"), *auto)


def test_a_name_is_one_name_in_both_forms_of_unicode(tmp_path):
    path = save(tmp_path / "a.ckpt", Metadata(("a", "caf\u00e9")), classes=2)
    _, origin = settle(data(tmp_path / "train", "a", "cafe\u0301"), f"--resume={path}")
    assert origin.class_names == ("a", "caf\u00e9")


def test_names_beside_an_old_checkpoint_count_and_links_are_followed(tmp_path, folder, capsys):
    path = save(folder / "Xception-rank0-1_4.ckpt", None)
    (folder / "class_names.txt").write_text("0\n1\n2\n")
    link = tmp_path / "link.ckpt"
    link.symlink_to(path)
    message = f"{folder}/class_names.txt names other classes than {tmp_path}/other has: class 0 is '0' there"
    with pytest.raises(ConfigError, match=re.escape(message)):
        settle(data(tmp_path / "other", "1", "2", "7"), f"--resume={link}")
    settle(data(tmp_path / "train", "0", "1", "2"), f"--resume={link}")
    assert f"link.ckpt does not tell its class names: taken from {folder}/class_names.txt" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["resume", "pretrained"])
def test_names_beside_that_are_of_another_number_are_refused(tmp_path, option):
    path = save(tmp_path / "a.ckpt", None)
    (tmp_path / "class_names.txt").write_text("0\n1\n")
    with pytest.raises(ValueError, match=r"class_names\.txt has 2 class names, but .*a\.ckpt has 3 classes"):
        settle(data(tmp_path / "train", "0", "1"), f"--{option}={path}")


@pytest.mark.parametrize("option", ["resume", "pretrained"])
def test_unknown_names_are_taken_by_position_and_a_line_says_so(tmp_path, option, capsys):
    path = tmp_path / "zoo.ckpt"
    save_weights(path, build(num_classes=3)[0])
    settle(data(tmp_path / "train", *"abc"), f"--{option}={path}")
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        f"{path} does not tell the names of its classes: they are taken to be those of {tmp_path}/train, by position"
    )


def test_another_number_of_unknown_classes_is_refused_without_a_wrong_advice(tmp_path):
    path = save(tmp_path / "zoo.ckpt", None, classes=7)
    with pytest.raises(ConfigError, match=r"zoo\.ckpt has 7 classes, but .*train has 3: go on with") as caught:
        settle(data(tmp_path / "train", *"abc"), f"--resume={path}")
    assert "num_classes" not in str(caught.value)


# Settings


@pytest.mark.parametrize("option", ["resume", "pretrained"])
def test_what_is_not_given_is_that_of_the_checkpoint(tmp_path, option, capsys):
    path = save(tmp_path / "a.ckpt", KNOWN)
    config, origin = settle(data(tmp_path / "train", *"012"), f"--{option}={path}")
    assert (config.num_classes, config.image_size, config.crop_pct, config.interpolation) == (3, 96, 0.875, "bicubic")
    assert capsys.readouterr().err == f"image_size 96, crop_pct 0.875, interpolation bicubic, as {path} tells\n"
    assert origin == Origin(path, option == "resume", KNOWN, 3)


def test_what_is_given_wins_and_the_difference_is_said(tmp_path, capsys):
    path = save(tmp_path / "a.ckpt", KNOWN)
    words = ["--image_size=71", "--interpolation=bilinear", "--crop_pct=0.875", "--num_classes=9"]
    config, _ = settle(data(tmp_path / "train", *"012"), f"--resume={path}", *words)
    assert (config.num_classes, config.image_size, config.interpolation) == (9, 71, "bilinear")
    assert capsys.readouterr().err.splitlines() == [
        f"image_size is 71, as given, though {path} says 96",
        f"interpolation is bilinear, as given, though {path} says bicubic",
    ]


@pytest.mark.parametrize(
    ("option", "trained", "words", "level"),
    [
        ("resume", "O0", [], "O0"),
        ("resume", "O2", [], "auto"),
        ("resume", "O0", ["--amp_level=O2"], "O2"),
        ("resume", "O0", ["--is_fp32=False"], "auto"),
        ("pretrained", "O0", [], "auto"),
        ("pretrained", "O0", ["--amp_level=O2"], "O2"),
    ],
)
def test_a_float32_training_goes_on_in_float32_and_a_new_one_takes_the_devices_own(
    tmp_path, capsys, *, option, trained, words, level
):
    path = save(tmp_path / "a.ckpt", replace(KNOWN, amp_level=trained))
    config, _ = settle(data(tmp_path / "train", *"012"), f"--{option}={path}", *words, device="GPU")
    assert config.amp_level == level
    assert "amp_level" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("words", "classes"), [([], 1000), (["--resume=auto"], 3), (["--num_classes=4"], 4)])
def test_without_a_checkpoint_only_auto_counts_the_class_folders(tmp_path, words, classes):
    config, origin = settle(data(tmp_path / "train", *"012"), f"--save_checkpoint_path={tmp_path}", *words)
    assert (config.num_classes, config.image_size, origin) == (classes, 299, None)


def test_auto_takes_a_checkpoint_before_pretrained_weights(tmp_path, folder, auto):
    pretrained = save(tmp_path / "a.ckpt", Metadata(tuple("xyz")))
    words = [data(tmp_path / "train", *"012"), f"--pretrained={pretrained}", *auto]
    assert settle(*words)[1] == Origin(pretrained, False, Metadata(tuple("xyz")), 3)
    path = save(folder / checkpoint_name(Position(2, 0, STEPS)), KNOWN, epoch=2)
    assert settle(*words)[1] == Origin(path, True, KNOWN, 3)


# Several ranks


@pytest.fixture
def first_rank(monkeypatch) -> list:
    """What the first of two ranks gathers for its part; nothing for what the other one does."""
    values: list = []
    monkeypatch.setattr(
        "src.training.origin.gather_from_ranks", lambda own, group: np.stack([values[0] if values else own, own])
    )
    return values


def test_the_first_rank_alone_speaks(tmp_path, capsys, first_rank):
    path = save(tmp_path / "a.ckpt", KNOWN)
    words = [data(tmp_path / "train", *"012"), f"--resume={path}", "--image_size=71"]
    results = [(settle(*words, group=Group(rank, 2)), capsys.readouterr().err.count("\n")) for rank in range(2)]
    assert results[0][0] == results[1][0]
    assert [lines for _, lines in results] == [2, 0]


def test_ranks_that_find_different_checkpoints_are_told_so(tmp_path, first_rank):
    path = save(tmp_path / "a.ckpt", KNOWN)
    first_rank.append(np.int64(1))
    with pytest.raises(ValueError, match="rank 1 found another checkpoint to begin with than rank 0: all ranks need"):
        settle(data(tmp_path / "train", *"012"), f"--resume={path}", group=Group(1, 2))


# Number of classes


def test_the_number_of_classes_is_taken_from_the_folder_on_request(tmp_path, capsys):
    words = data(tmp_path / "train", *"abc")
    assert settle(words)[0].num_classes == 1000  # as the recipe has it
    capsys.readouterr()
    assert settle(words, "--num_classes=0")[0].num_classes == 3
    assert capsys.readouterr().out == f"num_classes is 3, the classes of {tmp_path}/train\n"
    path = save(tmp_path / "a.ckpt", replace(KNOWN, class_names=tuple("abc")))
    assert settle(words, "--num_classes=0", f"--resume={path}")[0].num_classes == 3
