"""The report's figures are right, and its pictures can be drawn of any number and kind of classes."""

from __future__ import annotations

import builtins
import csv
import io
import subprocess
import sys
import warnings

import numpy as np
import pytest

from src.common.plotting import has_matplotlib
from src.evaluation.confusion import write_confusion
from tests.helpers.image_files import read_pixels
from tests.helpers.project import ROOT

CONFUSION = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
NAMES = ["cat", 'a "b", c', "狗 $x^2$ ☃"]
DARKEST_BLUE = (8, 48, 107)


@pytest.fixture
def no_matplotlib(monkeypatch):
    original = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


def read_csv(path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_each_class_has_its_recall_precision_and_f1_and_no_share_of_nothing(tmp_path):
    write_confusion(tmp_path / "new", CONFUSION, NAMES)
    assert read_csv(tmp_path / "new" / "per_class.csv") == [
        ["class", "images", "correct", "top_1", "predicted", "precision", "f1"],
        ["cat", "10", "8", "0.800000", "9", "0.888889", "0.842105"],
        ['a "b", c', "4", "3", "0.750000", "5", "0.600000", "0.666667"],
        ["狗 $x^2$ ☃", "0", "0", "", "0", "", ""],
    ]


def test_the_matrix_has_true_classes_in_rows(tmp_path):
    write_confusion(tmp_path, CONFUSION, NAMES)
    assert read_csv(tmp_path / "confusion_matrix.csv") == [
        ["true \\ predicted", *NAMES],
        ["cat", "8", "2", "0"],
        ['a "b", c', "1", "3", "0"],
        ["狗 $x^2$ ☃", "0", "0", "0"],
    ]


@pytest.mark.parametrize("classes", [2, 20, 60, 300])
def test_the_picture_shows_where_the_images_are_for_any_number_of_classes(tmp_path, classes):
    for name, confusion, sign in (("right", np.eye(classes), 1), ("wrong", np.fliplr(np.eye(classes)), -1)):
        names = [f"class number {number}" for number in range(classes)]
        written = write_confusion(tmp_path / name, 5 * confusion.astype(np.int64), names)
        assert [path.name for path in written] == [
            "per_class.csv",
            "confusion_matrix.csv",
            "confused.csv",
            "confusion_matrix.png",
        ]
        pixels = read_pixels(written[-1])
        assert 400 < min(pixels.shape[:2]) <= max(pixels.shape[:2]) < 2000
        without_bar = pixels[:, : int(0.85 * pixels.shape[1])]
        rows, columns = np.nonzero((without_bar == DARKEST_BLUE).all(-1))
        assert sign * np.corrcoef(rows, columns)[0, 1] > 0.6


@pytest.mark.parametrize(
    "names", [["one"], NAMES, ["tab\t and\nline", "$", "$a$ \\$", "кот", "x" * 300, "👍", r"$\nothing$"]], ids=len
)
def test_the_picture_takes_any_names_without_a_warning(tmp_path, names):
    confusion = np.eye(len(names), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = write_confusion(tmp_path, confusion, names)[-1]
    assert (read_pixels(picture) == DARKEST_BLUE).all(-1).any()


def test_a_matrix_that_does_not_fit_the_names_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(3, 3\) does not fit 2 class names"):
        write_confusion(tmp_path / "new", CONFUSION, NAMES[:2])
    assert not (tmp_path / "new").exists()


def test_drawing_leaves_pyplot_and_the_chosen_backend_alone(tmp_path):
    code = (
        "import sys, matplotlib, numpy; from pathlib import Path; "
        "from src.evaluation.confusion import write_confusion\n"
        "matplotlib.use('svg')\n"
        "write_confusion(Path(sys.argv[1]), numpy.eye(2, dtype=int), ['a', 'b'])\n"
        "print(matplotlib.get_backend(), 'matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["svg", "False"]
    assert (tmp_path / "confusion_matrix.png").exists()


def test_without_matplotlib_the_tables_are_written_alone_and_a_line_tells_why(tmp_path, no_matplotlib, capsys):
    assert not has_matplotlib()
    written = write_confusion(tmp_path, CONFUSION, NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    assert len(written) == 3
    message = "confusion_matrix.png is left out: matplotlib is not installed: pip install -r requirements-plot.txt\n"
    assert capsys.readouterr().err.endswith(message)
