"""The command scores result files, and tells every one that is missing, extra or bad."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import postprocess
from src.model_utils.command import run_command
from tests.helpers.project import ROOT
from tests.helpers.result_files import write_results, write_table

SCORED = """Top_1_Acc: 75.000%, Top_5_Acc: 87.500%
Top_1_Acc=75.0%, Top_5_Acc=87.5%
scored 8 images of 8 in the label file
"""


@pytest.fixture
def results(tmp_path) -> Path:
    """Eight images of eight classes, the class of each the largest logit but for the last two: second and seventh.

    There is no predictions.csv, as the model zoo's own program writes none.
    """
    logits = np.eye(8, dtype=np.float32)
    logits[6] = np.arange(8)
    logits[7] = [7, 6, 5, 4, 3, 2, 0, 1]
    folder = tmp_path / "my results"
    write_results(folder, {f"k{number}__a.b": row for number, row in enumerate(logits)})
    (folder / "notes.txt").write_text("no result\n")
    (tmp_path / "labels.txt").write_text("".join(f"k{number}/a.b.jpg:{number}\n" for number in range(8)))
    return folder


def run(results: Path, *options: str) -> int:
    words = [f"--result_path={results}", f"--label_file={results.parent / 'labels.txt'}", *options]
    return run_command(postprocess.main, words)


def test_the_command_prints_the_lines_of_the_model_zoo(results, capsys):
    assert run(results) == 0
    assert capsys.readouterr() == (SCORED, "")


def test_the_report_has_the_folders_as_classes(results, tmp_path, capsys):
    assert run(results, f"--report={tmp_path / 'report'}") == 0
    lines = (tmp_path / "report" / "per_class.csv").read_text().splitlines()
    assert lines[1].startswith("k0,1,1,1.000000,2,")
    assert lines[7].startswith("k6,1,0,0.000000,0,")
    assert f"wrote {tmp_path / 'report' / 'confusion_matrix.csv'}" in capsys.readouterr().out


def test_everything_that_does_not_fit_is_listed(results, capsys):
    (results / "k0__a.b_0.bin").unlink()
    write_results(results, {"k1__a.b": np.zeros(7), "k2__a.b": np.full(8, np.nan), "extra": np.zeros(8)})
    (results / "k4__a.b_0.bin").write_bytes(b"")
    with (results.parent / "labels.txt").open("a") as file:
        file.write("nonsense\nk3/a.b.jpg:4\n")
    (results.parent / "labels.txt").write_text(
        (results.parent / "labels.txt").read_text().replace("k5/a.b.jpg:5", "k5/a.b.jpg:8")
    )
    assert run(results) == 1
    out, error = capsys.readouterr()
    assert out.splitlines()[2] == "scored 3 images of 8 in the label file"
    assert error.splitlines() == [
        "1 missing results:",
        "  k0__a.b_0.bin, the result of k0/a.b.jpg",
        "1 results without a label:",
        "  extra_0.bin",
        "1 labels beyond the 8 classes of the logits, so of another model or data set:",
        "  k5/a.b.jpg:8",
        "5 malformed results or lines:",
        "  line 9 of the label file is not 'path:label': nonsense",
        "  line 10 of the label file names k3/a.b.jpg again",
        "  k1__a.b_0.bin has 28 bytes, not the 32 of 8 float32 logits",
        "  k2__a.b_0.bin has logits that are NaN or infinite",
        "  k4__a.b_0.bin has 0 bytes, not the 32 of 8 float32 logits",
    ]


def test_a_long_list_is_its_first_ten_and_a_count(results, capsys):
    write_results(results, {f"extra{number:02}": np.zeros(8) for number in range(13)})
    assert run(results) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["13 results without a label:", *(f"  extra{n:02}_0.bin" for n in range(10)), "  and 3 more"]


def test_of_two_runs_into_one_folder_the_last_alone_is_scored(tmp_path, capsys):
    """Three images could not be read in the second run: what the first made of them is no result of the second."""
    folder = tmp_path / "results"
    write_results(folder, {f"{number % 10}__{number:02}": np.eye(10)[number % 10] for number in range(30)})
    write_table(folder, [f"{number % 10}/{number:02}.jpg" for number in range(3, 30)])
    (tmp_path / "labels.txt").write_text("".join(f"{n % 10}/{n:02}.jpg:{n % 10}\n" for n in range(30)))
    assert run(folder) == 1
    out, error = capsys.readouterr()
    assert out.splitlines() == [
        "Top_1_Acc: 100.000%, Top_5_Acc: 100.000%",
        "Top_1_Acc=100.0%, Top_5_Acc=100.0%",
        "scored 27 images of 30 in the label file",
    ]
    stale = ["0__00_0.bin", "1__01_0.bin", "2__02_0.bin"]
    assert error.splitlines() == [
        "3 missing results:",
        *(f"  {name}, the result of {name.replace('__', '/').replace('_0.bin', '.jpg')}" for name in stale),
        "3 results that predictions.csv does not list, so of another run:",
        *(f"  {name}" for name in stale),
    ]


def test_a_table_that_lists_every_result_changes_nothing(results, capsys):
    write_table(results, [f"k{number}/a.b.jpg" for number in range(8)])
    assert run(results) == 0
    assert capsys.readouterr() == (SCORED, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,rank,class\na.jpg,1,2\n", "predictions.csv is not the inference program's: it has no column path"),
        ("", "predictions.csv is not the inference program's: it has no column path"),
        ("path,rank\n", "predictions.csv lists no image"),
        ("path,rank\nelse/where.jpg,1\n", "no file in {folder} is the result of a labelled image"),
    ],
)
def test_a_table_without_labelled_images_is_one_line(results, capsys, text, message):
    (results / "predictions.csv").write_text(text)
    assert run(results) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message.format(folder=results) in line


def test_a_label_file_without_a_label_is_told_by_its_first_line(results, capsys):
    path = results.parent / "labels.txt"
    path.write_text("k0/a.b.jpg,0\nk1/a.b.jpg,1\n")
    assert run(results) == 1
    assert capsys.readouterr() == (
        "",
        f"error: no label in {path}: line 1 of the label file is not 'path:label': k0/a.b.jpg,0; "
        "tools/imgid2label.py writes label files\n",
    )


def test_labels_beyond_the_logits_are_told_and_no_accuracy_is_made_of_none(results, capsys):
    (results.parent / "labels.txt").write_text("".join(f"k{number}/a.b.jpg:{number + 8}\n" for number in range(8)))
    assert run(results) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.splitlines() == [
        "8 labels beyond the 8 classes of the logits, so of another model or data set:",
        *(f"  k{number}/a.b.jpg:{number + 8}" for number in range(8)),
        f"error: no result in {results} could be scored: the lines above say why",
    ]


@pytest.mark.parametrize(
    ("labels", "absent"),
    [
        ([0, 1, 2, 3, 4, 5, 6], "1 of 8 classes have no image in the label file: 7"),
        ([7], "7 of 8 classes have no image in the label file: 0, 1, 2, 3, 4, 5, 6"),
        ([], None),
    ],
)
def test_classes_without_an_image_are_told(results, capsys, labels, absent):
    """As where the folder that the labels are made of lacks the first class: the numbers of all others move."""
    if labels:
        (results.parent / "labels.txt").write_text("".join(f"k{number}/a.b.jpg:{number}\n" for number in labels))
        for number in set(range(8)) - set(labels):
            (results / f"k{number}__a.b_0.bin").unlink()
    assert run(results) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"scored {len(labels) or 8} images of {len(labels) or 8} in the label file"
    hint = "; labels made without one of the class folders are not the model's: use tools/imgid2label.py --model FILE"
    assert lines[3:] == ([f"{absent}{hint}"] if absent else [])


def test_many_classes_without_an_image_are_the_first_ten_and_a_count(tmp_path, capsys):
    write_results(tmp_path / "results", {"a": np.eye(1000)[3]})
    (tmp_path / "labels.txt").write_text("a.jpg:3\n")
    assert run(tmp_path / "results") == 0
    line = capsys.readouterr().out.splitlines()[3]
    assert line.startswith(
        "999 of 1000 classes have no image in the label file: 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, and 989 more; "
    )


@pytest.mark.parametrize(
    ("folder", "labels", "status", "message"),
    [
        ("absent", "a.jpg:0", 2, "no folder absent: give the folder that"),
        (".", None, 2, "no label file labels.txt: tools/imgid2label.py writes one"),
        (
            ".",
            "cats/a.jpg:0",
            1,
            "no file in . is the result of a labelled image: the first one's would be cats__a_0.bin",
        ),
        (".", "", 1, "no label in labels.txt: the label file is empty"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, *, folder, labels, status, message):
    monkeypatch.chdir(tmp_path)
    if labels is not None:
        Path("labels.txt").write_text(labels)
    assert run_command(postprocess.main, [f"--result_path={folder}", "--label_file=labels.txt"]) == status
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_names_that_are_no_utf_8_are_scored_and_told(tmp_path):
    """In a process of its own: its output has an encoding."""
    name = os.fsdecode(b"caf\xe9")
    write_results(tmp_path / "results", {name: np.ones(1), f"{name}2": np.ones(1)})
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9.jpg:0\r\n")
    command = [sys.executable, str(ROOT / "postprocess.py"), "--result_path=results", "--label_file=labels.txt"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout.endswith("Top_5_Acc=100.0%\nscored 1 images of 1 in the label file\n")
    assert result.stderr == "1 results without a label:\n  caf\\xe92_0.bin\n"


def test_importing_does_nothing_and_needs_no_mindspore(tmp_path):
    code = "import sys, postprocess, tools.imgid2label; sys.exit('mindspore' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_whole_run_with_its_report_needs_no_mindspore(results, tmp_path):
    words = [f"--result_path={results}", f"--label_file={tmp_path / 'labels.txt'}", f"--report={tmp_path / 'report'}"]
    code = (
        "import sys, postprocess\n"
        "from src.model_utils.command import run_command\n"
        "sys.exit(run_command(postprocess.main) or 'mindspore' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert (tmp_path / "report" / "confusion_matrix.png").exists()
