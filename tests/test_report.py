"""The report's figures are right, and its pictures can be drawn of any number and kind of classes."""

from __future__ import annotations

import builtins
import csv
import io

import numpy as np
import pytest
from PIL import Image

from src.metrics_log import MetricsLog, Row
from src.report import has_matplotlib, write_curves, write_evaluation_report

CONFUSION = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
NAMES = ["cat", 'a "b", c', "狗 $x^2$ ☃"]


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


def test_each_class_has_its_recall_and_precision_and_no_share_of_nothing(tmp_path):
    write_evaluation_report(tmp_path / "new", CONFUSION, NAMES)
    assert read_csv(tmp_path / "new" / "per_class.csv") == [
        ["class", "images", "correct", "top_1", "predicted", "precision"],
        ["cat", "10", "8", "0.800000", "9", "0.888889"],
        ['a "b", c', "4", "3", "0.750000", "5", "0.600000"],
        ["狗 $x^2$ ☃", "0", "0", "", "0", ""],
    ]


def test_the_matrix_has_true_classes_in_rows(tmp_path):
    write_evaluation_report(tmp_path, CONFUSION, NAMES)
    assert read_csv(tmp_path / "confusion_matrix.csv") == [
        ["true \\ predicted", *NAMES],
        ["cat", "8", "2", "0"],
        ['a "b", c', "1", "3", "0"],
        ["狗 $x^2$ ☃", "0", "0", "0"],
    ]


@pytest.mark.parametrize("classes", [1, 3, 15, 40, 300])
def test_the_picture_shows_the_diagonal_for_any_number_of_classes(tmp_path, classes):
    confusion = np.eye(classes, dtype=np.int64) * 5
    names = [f"class number {number} 猫" for number in range(classes)]
    written = write_evaluation_report(tmp_path, confusion, names)
    assert [path.name for path in written] == ["per_class.csv", "confusion_matrix.csv", "confusion_matrix.png"]
    with Image.open(written[-1]) as image:
        image.load()
        assert min(image.size) > 300
        assert max(image.size) < 3000


def test_without_matplotlib_the_tables_are_written_alone(tmp_path, no_matplotlib):
    assert not has_matplotlib()
    written = write_evaluation_report(tmp_path, CONFUSION, NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    assert len(written) == 2
    MetricsLog(tmp_path / "metrics.csv").append(Row(1, 1, 0.1, 2.0, 3.0))
    assert write_curves(tmp_path / "metrics.csv") is None


@pytest.mark.parametrize("validated", [True, False])
def test_curves_are_drawn_beside_the_metrics(tmp_path, validated):
    log = MetricsLog(tmp_path / "metrics.csv")
    assert write_curves(log.path) is None
    for step in range(1, 60):
        end = validated and step % 20 == 0
        log.append(Row(step // 20 + 1, step, 0.1 / step, 2 / step, 30.0, 0.5 if end else None, 0.9 if end else None))
    picture = write_curves(log.path)
    assert picture == tmp_path / "curves.png"
    with Image.open(picture) as image:
        image.load()
        colours = {tuple(colour) for _, colour in image.convert("RGB").getcolors(10**6)}
    assert (0, 0x72, 0xB2) in colours  # the loss
    assert ((0, 0x9E, 0x73) in colours) is validated  # top-1


def test_a_loss_that_is_not_a_number_does_not_stop_the_drawing(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv")
    log.append(Row(1, 1, 0.1, float("nan"), 3.0))
    log.append(Row(1, 2, 0.1, float("inf"), 3.0))
    assert write_curves(log.path) is not None
