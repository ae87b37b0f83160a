"""The label file names every image of the class folders with the class that evaluation gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mindspore import nn

from src.checkpoints.weights import save_weights
from src.data.image_source import open_images
from src.data.label_file import parse_labels
from src.data.record_set import RecordSet, data_set_classes
from src.dataset import create_dataset
from src.metadata.metadata import Metadata
from src.metadata.model_entries import add_metadata
from src.model_utils.command import run_command
from tests.helpers.project import ROOT
from tools import imgid2label


def positions(folder: Path) -> dict[str, int]:
    """Return the labels that are the positions of the class folders, by path."""
    folders = data_set_classes(str(folder))
    return imgid2label.label_images(folder, {name: label for label, name in enumerate(folders)})


def test_labels_are_those_of_evaluation(few_digits, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "imgid2label.py"), str(few_digits / "val"), "a folder/labels.txt"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    data = few_digits / "val"
    assert (result.returncode, result.stderr) == (
        0,
        f"the labels are the positions of the class folders in {data}: they are right only for a model that was "
        "trained on the same class folders; --model FILE writes the model's numbers\n",
    )
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
    assert positions(tmp_path) == {"a b/1:2.jpeg": 0, "b/x.JPG": 1}
    found = imgid2label.label_images(tmp_path, {"a b": 0, "b": 1}, recursive=True)
    assert found == {"a b/1:2.jpeg": 0, "b/deep/y.png": 1, "b/x.JPG": 1}


def test_classes_are_those_of_mindrecord_files_as_in_training(tmp_path):
    for name in ("a new class", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").touch()
    (tmp_path / "mindrecord.json").write_text(RecordSet({"b": 1, "c": 1}, {}, []).to_json())
    assert open_images(str(tmp_path)).class_names == ["b", "c"]
    assert positions(tmp_path) == {"b/x.jpg": 0, "c/x.jpg": 1}


def test_unfinished_mindrecord_files_have_no_classes(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.jpg").touch()
    (tmp_path / "part.mindrecord").touch()
    with pytest.raises(ValueError, match=r"MindRecord files but no readable mindrecord\.json"):
        positions(tmp_path)


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
    assert_one_line(capsys, message)
    assert Path("out").read_text() == "old"


NAMES = ("ant", "bee", "cat")
METADATA = Metadata(class_names=NAMES)


@pytest.fixture
def without_ants(tmp_path) -> Path:
    """Class folders of which a model's first is missing."""
    for name in ("bee/1.jpg", "cat/1.jpg", "cat/2.jpg"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    return tmp_path / "data"


def write_model(folder: Path, kind: str) -> Path:
    """Write what tells class names: a file whose weights do not matter here."""
    path = folder / f"net.{kind}"
    if kind == "ckpt":
        save_weights(path, nn.Dense(2, 3), METADATA)
    else:
        path.write_bytes(add_metadata(b"", METADATA))
    return path


def assert_one_line(capsys, message: str) -> None:
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


@pytest.mark.parametrize("kind", ["mindir", "onnx", "ckpt"])
def test_labels_are_the_numbers_of_a_model(without_ants, tmp_path, capsys, kind):
    model = write_model(tmp_path, kind)
    assert run_command(imgid2label.main, [str(without_ants), str(tmp_path / "out"), f"--model={model}"]) == 0
    assert (tmp_path / "out").read_text() == "bee/1.jpg:1\ncat/1.jpg:2\ncat/2.jpg:2\n"
    assert capsys.readouterr() == (
        f"wrote {tmp_path / 'out'}: 3 images in 2 of the model's 3 classes\nclasses without an image: ant\n",
        "",
    )


def test_labels_are_the_numbers_of_the_names_that_are_given_in_any_form_of_unicode(without_ants, tmp_path, capsys):
    (without_ants / "cat").rename(without_ants / "cafe\u0301")
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\nwolf\ncaf\u00e9\n", encoding="utf-8")
    assert run_command(imgid2label.main, [str(without_ants), str(tmp_path / "out"), f"--class_names={names}"]) == 0
    assert parse_labels((tmp_path / "out").read_text("utf-8")).by_path == {
        "bee/1.jpg": 1,
        "cafe\u0301/1.jpg": 3,
        "cafe\u0301/2.jpg": 3,
    }
    assert "in 2 of the model's 4 classes\nclasses without an image: ant, wolf\n" in capsys.readouterr().out


def test_names_beside_a_model_that_tells_none_count_and_are_said(without_ants, tmp_path, capsys):
    model = tmp_path / "net.mindir"
    model.write_bytes(b"")
    command = [str(without_ants), str(tmp_path / "out"), f"--model={model}"]
    assert run_command(imgid2label.main, command) == 2
    assert_one_line(capsys, f"error: {model} does not tell the names of its classes: give a file of them with")
    (tmp_path / "class_names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    assert run_command(imgid2label.main, command) == 0
    assert "bee/1.jpg:1\n" in (tmp_path / "out").read_text()
    line = f"{model} does not tell the names of its classes: taken from {tmp_path / 'class_names.txt'}\n"
    assert capsys.readouterr().err == line


def test_names_beside_a_checkpoint_of_another_number_of_classes_are_not_its_own(without_ants, tmp_path, capsys):
    model = tmp_path / "net.ckpt"
    network = nn.Cell()
    network.fc = nn.Dense(2, 5)
    save_weights(model, network)
    (tmp_path / "class_names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    assert run_command(imgid2label.main, [str(without_ants), str(tmp_path / "out"), f"--model={model}"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        error == f"error: {tmp_path / 'class_names.txt'} has 3 names, but {model} has 5 classes: it belongs to others"
    )
    assert not (tmp_path / "out").exists()


def test_a_class_map_says_which_class_a_folder_is(without_ants, tmp_path, capsys):
    (without_ants / "cat").rename(without_ants / "felis")
    command = [str(without_ants), str(tmp_path / "out"), f"--model={write_model(tmp_path, 'mindir')}"]
    assert run_command(imgid2label.main, command) == 2
    assert_one_line(capsys, "has no class felis, a class folder of")
    assert not (tmp_path / "out").exists()
    (tmp_path / "map.csv").write_text("felis,cat\n")
    assert run_command(imgid2label.main, [*command, f"--class_map={tmp_path / 'map.csv'}"]) == 0
    assert (tmp_path / "out").read_text() == "bee/1.jpg:1\nfelis/1.jpg:2\nfelis/2.jpg:2\n"
    assert capsys.readouterr().err == f"class map {tmp_path / 'map.csv'}: felis is class 2 (cat)\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--class_map=map.csv"], "--class_map says which class of a model a folder is: give --model or --class_names"),
        (["--model=net.h5"], "--model is a file .mindir .onnx or .ckpt, not net.h5"),
        (["--class_names=none.txt"], "none.txt"),
        (["--model=none.mindir"], "none.mindir"),
        (["--model=none.ckpt"], "none.ckpt"),
        (["--model=changed.mindir"], "changed.mindir is damaged, or was changed by another program"),
    ],
)
def test_a_wrong_way_to_name_classes_is_one_line(without_ants, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    Path("map.csv").write_text("felis,cat\n")
    Path("changed.mindir").write_bytes(add_metadata(b"", METADATA).replace(b"bee", b"bed"))
    assert run_command(imgid2label.main, [str(without_ants), "out", *words]) in (1, 2)
    assert_one_line(capsys, message)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["--dataset_path=data"], "img_id_2_label.txt"),
        (["--dataset_path=data", "--output_name=labels"], "labels"),
        (["data", "--output_name", "labels"], "labels"),
    ],
)
def test_the_options_of_the_model_zoo_name_the_same(tmp_path, monkeypatch, words, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "1.jpg").touch()
    assert run_command(imgid2label.main, words) == 0
    assert (tmp_path / out).read_text() == "a/1.jpg:0\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "OUT is missing: call it as imgid2label.py DATA_DIR OUT"),
        (["--output_name=out"], "DATA_DIR is missing: call it as imgid2label.py DATA_DIR OUT"),
        (["data", "out", "--output_name=o"], "out and --output_name=o are the same argument, OUT: give one of them"),
        (["--dataset_path=d", "out"], "out and --dataset_path=d are the same argument, DATA_DIR: give one of them"),
    ],
)
def test_a_missing_or_repeated_argument_is_one_line(capsys, words, message):
    assert run_command(imgid2label.main, words) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")
