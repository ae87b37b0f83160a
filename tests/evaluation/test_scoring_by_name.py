"""Scoring knows the classes of the model whose results it scores, and refuses labels that are another model's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import postprocess
from src.metadata.metadata import Metadata
from src.model_utils.command import run_command
from tests.helpers.result_files import write_results

NAMES = ("ant", "bee", "caf\u00e9", "dog")


@pytest.fixture
def results(tmp_path) -> Path:
    """Right results of a model of four classes for an image of each but the first, whose folder is missing."""
    folder = tmp_path / "results"
    write_results(folder, {f"{name}__a": np.eye(4)[label] for label, name in enumerate(NAMES) if label})
    (folder / "metadata.json").write_text(Metadata(class_names=NAMES).to_json())
    return folder


def score(results: Path, labels: str, *options: str) -> int:
    path = results.parent / "labels.txt"
    path.write_text(labels, "utf-8")
    return run_command(postprocess.main, [f"--result_path={results}", f"--label_file={path}", *options])


def labels_of(*numbers: int) -> str:
    return "".join(f"{name}/a.jpg:{number}\n" for name, number in zip(NAMES[1:], numbers, strict=True))


def test_labels_by_position_where_a_class_is_missing_are_refused(results, tmp_path, capsys):
    assert score(results, labels_of(0, 1, 2), f"--report={tmp_path / 'report'}") == 1
    assert capsys.readouterr() == (
        "",
        "error: the label file gives images of the folder 'bee' the label 0 (and 2 more such), but the model's class 0 "
        "is 'ant' and 'bee' is 1: write it again by tools/imgid2label.py --model FILE\n",
    )
    assert not (tmp_path / "report").exists()


def test_the_models_numbers_are_scored_under_its_names(results, tmp_path, capsys):
    assert score(results, labels_of(1, 2, 3), f"--report={tmp_path / 'report'}") == 0
    out, error = capsys.readouterr()
    assert error == ""
    lines = [line for line in out.splitlines() if not line.startswith("wrote ")]
    assert lines == [
        "Top_1_Acc: 100.000%, Top_5_Acc: 100.000%",
        "Top_1_Acc=100.0%, Top_5_Acc=100.0%",
        "scored 3 images of 3 in the label file",
        "1 of 4 classes have no image in the label file: 0 (ant)",
    ]
    rows = (tmp_path / "report" / "per_class.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [["ant", "0"], ["bee", "1"], ["caf\u00e9", "1"], ["dog", "1"]]


def test_a_name_counts_in_any_form_of_unicode_and_at_any_depth(results, capsys):
    for decomposed in ("val/cafe\u0301/a.jpg", "cafe\u0301/deep/a.jpg"):
        name = decomposed.replace("/", "__").removesuffix(".jpg")
        write_results(results, {name: np.eye(4)[2]})
        assert score(results, f"{decomposed}:1\n") == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(
            "error: the label file gives images of the folder 'cafe\u0301' the label 1, but the model's"
        )
        score(results, f"{decomposed}:2\n")
        assert "Top_1_Acc: 100.000%" in capsys.readouterr().out


def test_labels_beyond_the_classes_are_told_with_the_folders_number(results, capsys):
    assert score(results, labels_of(1, 2, 7)) == 1
    assert capsys.readouterr().err == (
        "error: the label file gives images of the folder 'dog' the label 7, but the model has the classes 0 to 3 and "
        "'dog' is 3: write it again by tools/imgid2label.py --model FILE\n"
    )


@pytest.mark.parametrize("folder", ["k1", "Ant", "ants", ""])
def test_folders_of_no_known_name_say_nothing(results, capsys, folder):
    write_results(results, {f"{folder}__a" if folder else "a": np.eye(4)[1]})
    for path in results.glob("*__a_0.bin"):
        if not path.name.startswith(f"{folder}__") or not folder:
            path.unlink()
    assert score(results, f"{folder}/a.jpg:1\n".lstrip("/")) == 0
    out, error = capsys.readouterr()
    assert error == ""
    assert out.splitlines()[3] == (
        "3 of 4 classes have no image in the label file: 0 (ant), 2 (caf\u00e9), 3 (dog)"
        "; labels made without one of the class folders are not the model's: use tools/imgid2label.py --model FILE"
    )


def test_of_two_classes_with_one_name_each_is_right(results, capsys):
    (results / "metadata.json").write_text(Metadata(class_names=("crane", "bee", "caf\u00e9", "crane")).to_json())
    write_results(results, {"crane__1": np.eye(4)[0], "crane__2": np.eye(4)[3]})
    score(results, "crane/1.jpg:0\ncrane/2.jpg:3\n")
    assert "Top_1_Acc: 100.000%" in capsys.readouterr().out
    assert score(results, "crane/1.jpg:1\n") == 1
    assert "but the model's class 1 is 'bee' and 'crane' is 0 or 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the metadata in {path} is damaged: it is no JSON with a format number"),
        (json.dumps({"format": 2}), "the metadata in {path} has format 2"),
        (
            json.dumps({"format": 1, "class_names": ["bee"]}),
            "the label file gives images of the folder 'bee' the label 1",
        ),
        (
            json.dumps({"format": 1, "class_names": ["x"]}),
            "the results in {folder} are of 4 classes, and metadata.json there names 1: run the inference",
        ),
    ],
)
def test_metadata_that_does_not_fit_is_one_line_and_nothing_is_scored(results, capsys, text, message):
    path = results / "metadata.json"
    path.write_text(text)
    assert score(results, labels_of(1, 2, 3)) == 1
    out, error = capsys.readouterr()
    assert out == ""
    (line,) = error.splitlines()
    assert line.startswith("error: " + message.format(path=path, folder=results))


def test_metadata_without_names_changes_nothing(results, capsys):
    (results / "metadata.json").write_text(Metadata(image_size=71).to_json())
    assert score(results, labels_of(0, 1, 2)) == 0
    assert capsys.readouterr().out.startswith("Top_1_Acc: 0.000%")
