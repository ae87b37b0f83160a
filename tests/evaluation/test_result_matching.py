"""Label files and results of the model zoo's tools, which know base names alone, fit this project's and each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import postprocess
from src.metadata.metadata import Metadata
from src.model_utils.command import run_command
from tests.helpers.result_files import write_results, write_table

IMAGES = [f"n{number}/ILSVRC2012_val_0000000{number}.JPEG" for number in range(3)]
STEMS = [image.partition("/")[2].partition(".")[0] for image in IMAGES]
NOTE = "no result has the path of a labelled image: 3 of 3 labels are taken by base names, which are unique"


def run(folder: Path, labels: str, *options: str) -> int:
    (folder / "labels.txt").write_text(labels)
    words = [f"--result_path={folder / 'results'}", f"--label_file={folder / 'labels.txt'}", *options]
    return run_command(postprocess.main, words)


def write(folder: Path, names: list[str]) -> None:
    write_results(folder / "results", dict(zip(names, np.eye(len(names)), strict=True)))


def lines(names: list[str]) -> str:
    return "".join(f"{name}:{number}\n" for number, name in enumerate(names))


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("names", [STEMS, [f"{stem}.JPEG" for stem in STEMS]])
def test_labels_of_base_names_score_the_results_of_class_folders(tmp_path, capsys, has_table, names):
    write(tmp_path, [image.replace("/", "__").removesuffix(".JPEG") for image in IMAGES])
    if has_table:
        write_table(tmp_path / "results", IMAGES)
    assert run(tmp_path, lines(names)) == 0
    out, error = capsys.readouterr()
    assert out.splitlines()[0] == "Top_1_Acc: 100.000%, Top_5_Acc: 100.000%"
    assert error == f"{NOTE}\n"


@pytest.mark.parametrize("names", [STEMS, IMAGES])
def test_results_of_base_names_are_scored_by_both_forms_of_labels(tmp_path, capsys, names):
    write(tmp_path, STEMS)
    assert run(tmp_path, lines(names)) == 0
    out, error = capsys.readouterr()
    assert out.splitlines()[2] == "scored 3 images of 3 in the label file"
    assert error == (f"{NOTE}\n" if names == IMAGES else "")


def test_a_name_that_the_model_zoo_cuts_at_its_first_dot_is_found(tmp_path, capsys):
    images = ["a/one.two.jpg", "b/two.three.jpg"]
    write(tmp_path, ["a__one.two", "b__two.three"])
    write_table(tmp_path / "results", images)
    assert run(tmp_path, lines(["one", "two"])) == 0
    assert "scored 2 images of 2" in capsys.readouterr().out


def test_a_base_name_of_several_results_is_an_error_that_names_them_and_the_tool(tmp_path, capsys):
    write(tmp_path, ["a__1", "b__1", "b__2"])
    assert run(tmp_path, "1:0\n1:1\n2:1\n") == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error == (
        "error: the label file has base names, and 1 is that of 2 results, such as a__1_0.bin and b__1_0.bin: write it "
        "again by tools/imgid2label.py DATA_DIR OUT, which writes the folders too\n"
    )


def test_a_result_of_several_labelled_images_is_an_error_that_names_them_and_the_tool(tmp_path, capsys):
    write(tmp_path, ["1", "2"])
    assert run(tmp_path, "a/1.jpg:0\nb/1.jpg:1\nb/2.jpg:1\n") == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(
        "error: the results have base names, and 1_0.bin is that of several labelled images, such as a/1.jpg and "
        "b/1.jpg: one has replaced the other; "
    )
    assert error.endswith("and tools/imgid2label.py the labels\n")


def test_one_base_name_with_two_labels_is_a_line_that_names_the_tool(tmp_path, capsys):
    write(tmp_path, ["1"])
    assert run(tmp_path, "1:0\n1:1\n") == 1
    assert "line 2 of the label file names 1 again, with another label: tools/imgid2label.py" in capsys.readouterr().err


def test_images_of_two_other_folders_are_not_taken_for_each_other(tmp_path, capsys):
    write(tmp_path, ["cat__1", "cat__2"])
    assert run(tmp_path, "dog/1.jpg:0\ndog/2.jpg:1\n") == 1
    assert "is the result of a labelled image" in capsys.readouterr().err


def test_labels_of_base_names_are_compared_with_the_folders_of_the_images(tmp_path, capsys):
    """The model zoo's numbers are the positions of the folders, which move where one is missing."""
    write(tmp_path, ["bee__1", "cow__2", "dog__3"])
    write_table(tmp_path / "results", ["bee/1.jpg", "cow/2.jpg", "dog/3.jpg"])
    described = Metadata(("ant", "bee", "cow", "dog"))
    (tmp_path / "results" / "metadata.json").write_text(described.to_json())
    assert run(tmp_path, lines(["1", "2", "3"])) == 1
    assert "images of the folder 'bee' the label 0" in capsys.readouterr().err
