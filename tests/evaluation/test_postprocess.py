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
from tests.helpers.result_files import write_results


@pytest.fixture
def results(tmp_path) -> Path:
    """Eight images of eight classes, the class of each the largest logit but for the last two: second and seventh."""
    logits = np.eye(8, dtype=np.float32)
    logits[6] = np.arange(8)
    logits[7] = [7, 6, 5, 4, 3, 2, 0, 1]
    folder = tmp_path / "my results"
    write_results(folder, {f"k{number}__a.b": row for number, row in enumerate(logits)})
    (folder / "predictions.csv").write_text("no result\n")
    (tmp_path / "labels.txt").write_text("".join(f"k{number}/a.b.jpg:{number}\n" for number in range(8)))
    return folder


def run(results: Path, *options: str) -> int:
    words = [f"--result_path={results}", f"--label_file={results.parent / 'labels.txt'}", *options]
    return run_command(postprocess.main, words)


def test_the_command_prints_the_line_of_the_model_zoo(results, capsys):
    assert run(results) == 0
    assert capsys.readouterr() == (
        "Top_1_Acc: 75.000%, Top_5_Acc: 87.500%\nscored 8 images of 8 in the label file\n",
        "",
    )


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
    assert out.splitlines()[-1] == "scored 3 images of 8 in the label file"
    assert error.splitlines() == [
        "1 missing results:",
        "  k0__a.b_0.bin, the result of k0/a.b.jpg",
        "1 results without a label:",
        "  extra_0.bin",
        "6 malformed results or lines:",
        "  line 9 of the label file is not 'path:label': nonsense",
        "  line 10 of the label file names k3/a.b.jpg again",
        "  k1__a.b_0.bin has 28 bytes, not the 32 of 8 float32 logits",
        "  k2__a.b_0.bin has logits that are NaN or infinite",
        "  k4__a.b_0.bin has 0 bytes, not the 32 of 8 float32 logits",
        "  k5__a.b_0.bin has 8 logits, but its label is 8",
    ]


def test_a_long_list_is_its_first_ten_and_a_count(results, capsys):
    write_results(results, {f"extra{number:02}": np.zeros(8) for number in range(13)})
    assert run(results) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["13 results without a label:", *(f"  extra{n:02}_0.bin" for n in range(10)), "  and 3 more"]


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
        (".", "", 1, "the first one's would be (there is no label)"),
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
    assert result.stdout == "Top_1_Acc: 100.000%, Top_5_Acc: 100.000%\nscored 1 images of 1 in the label file\n"
    assert result.stderr == "1 results without a label:\n  caf\\udce92_0.bin\n"


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
