"""A list of images stands wherever class folders do, and a line that does not fit is told with its number."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from src.data.class_matching import ModelClasses
from src.data.held_out import hold_out
from src.data.image_list import read_list
from src.data.image_source import open_images
from src.data.record_set import data_set_classes
from src.data.usable_images import check_folder
from src.evaluation.evaluation_set import open_evaluation_set
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import ALONE
from tests.helpers.image_files import make_tree
from tests.helpers.pipeline import batches
from tools import check_dataset, split_dataset
from tools.data_formats.stored_image import images_of_folders


def read(path) -> list[tuple[int, int]]:
    """Return the number of each image of the fixture `numbered`, and its label."""
    return [
        (round((float(image.mean()) * 127.5 + 127.5) / 6), int(label[0]))
        for image, label in batches(str(path), False, 1)
    ]


@pytest.fixture
def flat(numbered, tmp_path) -> Path:
    """A folder of all images of `numbered` without their classes."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for path in numbered.glob("*/*.png"):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize(
    ("header", "line"),
    [("path,class\r\n", "{0:02}.png,{1}\r\n"), ("path,label\n", "{0:02}.png,{2}\n"), ("", "{0:02}.png {2}\n")],
)
def test_a_list_gives_the_images_of_a_flat_folder_their_classes(numbered, flat, header, line):
    text = header + "".join(line.format(n, "abc"[n % 3], n % 3) for n in reversed(range(40)))
    (flat / "list.csv").write_text(text, "utf-8-sig", newline="")
    assert read(flat / "list.csv") == read(numbered)
    names = list("abc" if "class" in header else "012")
    assert open_images(str(flat / "list.csv")).class_names == data_set_classes(str(flat / "list.csv")) == names


def test_labels_are_the_numbers_of_the_model_and_names_its_names(flat, tmp_path, capsys):
    (flat / "labels.csv").write_text("path,label\n" + "".join(f"{n:02}.png,{n * 10}\n" for n in (11, 2, 1)))
    (flat / "names.csv").write_text("path,class\n01.png,n10\n02.png,n020\n11.png,n110\n")
    model = ModelClasses("net.ckpt", 111, tuple(f"n{n:02}" if n < 20 else f"n{n:03}" for n in range(111)))
    config = parse_config([], lambda _: "CPU")
    for name in ("labels", "names"):
        found = open_evaluation_set(config, open_images(str(flat / f"{name}.csv")), model, ALONE)
        by_path = dict(zip(found.images.source.class_names, found.classes.labels, strict=True))
        expected = {"labels": {"010": 10, "020": 20, "110": 110}, "names": {"n020": 20, "n10": 10, "n110": 110}}[name]
        assert by_path == expected
        assert len(found.classes.absent) == 108
    assert (
        "labels.csv are taken for the numbers of the classes of net.ckpt: 10 is n10, 20 is n020"
        in capsys.readouterr().err
    )
    with pytest.raises(ConfigError, match=r"labels\.csv has label 110, but small has 110 classes, 0 to 109"):
        open_evaluation_set(config, open_images(str(flat / "labels.csv")), ModelClasses("small", 110), ALONE)


def test_training_wants_every_label(flat):
    (flat / "list.csv").write_text("path,label\n00.png,0\n01.png,2\n")
    with pytest.raises(ValueError, match=r"list\.csv has no image of label 1: labels to train on are 0, 1 and so on"):
        check_folder(open_images(str(flat / "list.csv")), 2)
    (flat / "list.csv").write_text("path,label\n00.png,0\n01.png,2\n02.png,1\n")
    assert check_folder(open_images(str(flat / "list.csv")), 3) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,class\n1.jpg,cat\n\n2.jpg\n", "list.csv, line 4: expected two fields, got '2.jpg'"),
        ("path,class\n1.jpg,cat\n1.jpg,dog\n", "list.csv, line 3: 1.jpg stands in {folder}/list.csv, line 2 already"),
        ("path,class\n3.jpg,cat\n", "line 2: no file {folder}/3.jpg; paths are relative to the folder of the list"),
        ("path,class\nnotes.txt,cat\n", "line 2: notes.txt does not end in one of .jpg"),
        ('path,class\n1.jpg,"c\nat"\n', "holds a line break"),
        ('path,class\n1.jpg,"cat\n', "no CSV"),
        ("path,label\n1.jpg,cat\n", "line 2: expected a label from 0 to 999999, got cat"),
        ("path,label\n1.jpg,-1\n", "line 2: expected a label from 0 to 999999, got -1"),
        ("path,class\n", "list.csv lists no image: a list of images is a CSV file that begins with"),
        ("", "list.csv is no list of images: it is empty; a list of images is"),
        ("file,class\n1.jpg,cat\n", "list.csv is no list of images: line 1 of the label file is not 'path:label'"),
        ("1.jpg 0\n1.jpg 1\n", "is no list of images: line 2 of the label file names 1.jpg again"),
    ],
)
def test_a_wrong_line_is_told(tmp_path, text, said):
    make_tree(tmp_path, ["1.jpg", "2.jpg", "notes.txt"])
    (tmp_path / "list.csv").write_text(text, newline="")
    with pytest.raises(ValueError, match=re.escape(said.format(folder=tmp_path))):
        read_list(str(tmp_path / "list.csv"))


def test_the_images_of_a_list_are_checked(flat, monkeypatch, capsys):
    def find_bad(paths, *_):
        return [(paths[1], "damaged")]

    monkeypatch.setattr(check_dataset, "find_bad_images", find_bad)
    (flat / "list.csv").write_text("path,class\n05.png,a\n07.png,b\n")
    assert check_dataset.main([str(flat / "list.csv"), "--workers=1"]) == 1
    assert capsys.readouterr().out.startswith(f"{flat / '07.png'}: damaged\nchecked 2 images in 2 classes: 1 bad")


def test_mindrecord_making_takes_the_images_of_a_list(flat):
    (flat / "list.csv").write_text("path,label\n05.png,1\n07.png,0\n06.png,1\n")
    images = images_of_folders(str(flat / "list.csv"))
    assert {name: [image.name for image in each] for name, each in images.items()} == {
        "0": ["07.png"], "1": ["05.png", "06.png"],
    }  # fmt: skip


def test_a_data_set_is_divided_into_lists_that_are_read_as_its_folders_are(numbered, tmp_path, capsys):
    out = tmp_path / "out"
    split_dataset.main([str(numbered), str(out), "--val=0.3", "--form=list"])
    assert sorted(os.listdir(out)) == ["train.csv", "val.csv"]
    assert sorted(read(out / "train.csv") + read(out / "val.csv")) == [(n, n % 3) for n in range(40)]
    held_out = hold_out(open_images(str(numbered)), 0.3).validation.image_files()
    listed = open_images(str(out / "val.csv"))
    assert list(map(os.path.realpath, listed.image_files())) == list(map(os.path.realpath, held_out))
    again = hold_out(listed, 0.5)  # a list is divided too
    assert len(again.training.image_files()) + len(again.validation.image_files()) == len(held_out)
    split_dataset.main([str(out / "val.csv"), str(tmp_path / "copies")])
    assert len(list((tmp_path / "copies").glob("*/*/*.png"))) == len(held_out)
