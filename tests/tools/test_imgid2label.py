"""The label file names every image of the class folders with the class that evaluation gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.data.image_source import open_images
from src.data.record_set import RecordSet
from src.dataset import create_dataset
from src.evaluation.label_file import parse_labels
from src.model_utils.command import run_command
from tests.helpers.project import ROOT
from tools import imgid2label


def test_labels_are_those_of_evaluation(few_digits, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "imgid2label.py"), str(few_digits / "val"), "a folder/labels.txt"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "wrote a folder/labels.txt: 37 images in 3 classes\n"
    labels = parse_labels((tmp_path / "a folder" / "labels.txt").read_text())
    assert labels.malformed == ()
    assert all((few_digits / "val" / path).is_file() for path in labels.by_path)
    dataset = create_dataset(str(few_digits / "val"), False, 1, image_size=71, num_parallel_workers=1)
    expected = [int(label[0]) for _, label in dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)]
    assert list(labels.by_path.values()) == expected


def test_only_images_of_class_folders_count(tmp_path):
    for name in [
        "b/x.JPG",
        "b/deep/y.png",
        "a b/1:2.jpeg",
        "b/notes.txt",
        "b/z.gif",
        ".hidden/i.jpg",
        "b/._x.jpg",
        "t.jpg",
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert imgid2label.label_images(tmp_path) == {"a b/1:2.jpeg": 0, "b/deep/y.png": 1, "b/x.JPG": 1}


def test_classes_are_those_of_mindrecord_files_as_in_training(tmp_path):
    for name in ("a new class", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").touch()
    (tmp_path / "mindrecord.json").write_text(RecordSet({"b": 1, "c": 1}, {}, []).to_json())
    assert open_images(str(tmp_path)).class_names == ["b", "c"]
    assert imgid2label.label_images(tmp_path) == {"b/x.jpg": 0, "c/x.jpg": 1}


def test_unfinished_mindrecord_files_have_no_classes(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.jpg").touch()
    (tmp_path / "part.mindrecord").touch()
    with pytest.raises(ValueError, match=r"MindRecord files but no readable mindrecord\.json"):
        imgid2label.label_images(tmp_path)


def test_a_name_that_is_no_utf_8_is_kept(tmp_path):
    (tmp_path / "data" / "k").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/k/caf\xe9.jpg")).touch()
    assert run_command(imgid2label.main, [str(tmp_path / "data"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == b"k/caf\xe9.jpg:0\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no class folders in data"),
        (["k/notes.txt"], "no images in the class folders of data: they need files .jpg"),
        (["k/a\nb.jpg"], r"the path 'k/a\nb.jpg' has a line break in it"),
    ],
)
def test_a_mistake_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch, capsys, names, message):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("out").write_text("old")
    for name in names:
        (Path("data") / name).parent.mkdir(exist_ok=True)
        (Path("data") / name).touch()
    assert run_command(imgid2label.main, ["data", "out"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error
    assert Path("out").read_text() == "old"
