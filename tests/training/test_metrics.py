"""metrics.csv loses no row to a kill, and holds none twice after a resume; its curves can always be drawn."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.checkpoints.position import Position
from src.training.metrics import MetricsLog, Row, read_metrics, write_curves
from tests.helpers.image_files import read_pixels
from tests.helpers.project import ROOT

HEADER = "epoch,step,lr,loss,images_per_second,val_top_1,val_top_5,val_loss\n"

number = st.floats(allow_nan=False)
share = st.none() | st.floats(0, 1)
rows_strategy = st.lists(
    st.builds(
        Row,
        epoch=st.integers(1, 300),
        step=st.integers(1, 10**6),
        lr=number,
        loss=number,
        images_per_second=number,
        val_top_1=share,
        val_top_5=share,
        val_loss=share,
    ),
    max_size=6,
    unique_by=lambda row: (row.epoch, row.step),
)


def write(path: Path, rows: list[Row]) -> MetricsLog:
    log = MetricsLog(path)
    for row in rows:
        log.append(row)
    return log


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    log = MetricsLog(tmp_path / "metrics.csv")
    monkeypatch.setattr(os, "fsync", lambda _: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
    with pytest.raises(OSError, match=r"No space left on device: '.*/metrics\.csv'"):
        log.append(Row(1, 1, 0.1, 0.5, 9))


def test_a_file_that_is_taken_away_meanwhile_begins_anew_with_its_header(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv")
    rows = [Row(1, step, 0.1, 2.0, 9.0) for step in (1, 2, 3)]
    log.append(rows[0])
    log.path.unlink()
    for row in rows[1:]:
        log.append(row)
    assert read_metrics(log.path) == rows[1:]


def test_the_file_reads_as_documented(tmp_path):
    path = tmp_path / "new folder" / "metrics.csv"
    write(path, [Row(1, 10, 0.4, 2.5, 36.1), Row(1, 45, 0.3, 2.25, 35.0, val_top_1=0.5, val_top_5=0.875, val_loss=1.5)])
    assert path.read_text() == f"{HEADER}1,10,0.4,2.5,36.1,,,\n1,45,0.3,2.25,35.0,0.5,0.875,1.5\n"


def test_a_file_of_earlier_versions_is_gone_on_with(tmp_path):
    path = tmp_path / "metrics.csv"
    old = HEADER.replace(",val_loss", "") + "1,10,0.4,2.5,36.1,,\n1,45,0.3,2.25,35.0,0.5,0.875\n"
    path.write_text(old)
    MetricsLog(path, until=Position(1, 0, 45)).append(Row(2, 50, 0.2, 2.0, 35.0, 0.75, 0.875, 1.25))
    assert path.read_text() == (
        f"{HEADER}1,10,0.4,2.5,36.1,,,\n1,45,0.3,2.25,35.0,0.5,0.875,\n2,50,0.2,2.0,35.0,0.75,0.875,1.25\n"
    )
    path.write_text(old + "2,50,0.2,2.0,35.0,0.75,0.875,1.25\n")
    with pytest.raises(ValueError, match=r"line 4: expected 7 values, got 8"):
        read_metrics(path)


@given(rows_strategy)
def test_rows_come_back_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    write(path, rows)
    assert read_metrics(path) == rows


@given(rows_strategy, st.floats(0, 1))
def test_a_file_cut_anywhere_reads_as_its_first_rows(tmp_path_factory, rows, place):
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    write(path, rows)
    data = path.read_bytes()
    path.write_bytes(data[: round(place * len(data))])
    found = read_metrics(path)
    assert found == rows[: len(found)]
    assert len(found) >= path.read_bytes().count(b"\n") - 1
    added = Row(301, 10**6 + 1, 0.1, 2.0, 3.0)
    MetricsLog(path, until=Position(302, 0, 1)).append(added)
    assert read_metrics(path) == [*found, added]


def test_a_loss_that_is_not_a_number_is_kept(tmp_path):
    write(tmp_path / "m.csv", [Row(1, 1, 0.1, math.nan, 1.0)])
    assert math.isnan(read_metrics(tmp_path / "m.csv")[0].loss)


def test_resuming_drops_the_rows_that_will_be_written_again(tmp_path):
    path = tmp_path / "m.csv"
    rows = [Row(1, step, 0.1, 2.0, 3.0) for step in (10, 20, 30)]
    write(path, rows)
    with path.open("a") as stream:
        stream.write("2,40,0.")  # what a kill left
    MetricsLog(path, until=Position(0, 20, 45)).append(rows[2])
    assert read_metrics(path) == rows


def test_a_new_run_begins_an_empty_file(tmp_path):
    write(tmp_path / "m.csv", [Row(1, 10, 0.1, 2.0, 3.0)])
    MetricsLog(tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == HEADER


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "line 1: expected the header epoch,step"),
        ("notes without a line end", "line 1: expected the header epoch,step"),
        (HEADER + "1,2,3\n", "line 2: expected 8 values, got 3"),
        (HEADER + "1,2,x,4,5,,,\n", "line 2: could not convert"),
        (HEADER + "1,2,,4,5,,,\n", "line 2: lr, loss or images_per_second is missing"),
        (HEADER + "\n", "line 2"),
    ],
)
def test_a_file_of_another_kind_is_an_error_that_names_the_line(tmp_path, text, message):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        MetricsLog(path)
    assert path.read_text() == text


def test_each_row_is_flushed_to_the_disk_whole(tmp_path, monkeypatch):
    log = MetricsLog(tmp_path / "m.csv")
    flushed = []
    # A power cut cannot be had here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_size))
    sizes = []
    for step in (1, 2):
        log.append(Row(1, step, 0.1, 2.0, 3.0))
        sizes.append(log.path.stat().st_size)
    assert flushed == sizes


def test_rows_survive_a_kill_right_after_they_were_appended(tmp_path):
    path = tmp_path / "metrics.csv"
    code = (
        "import sys; from pathlib import Path; from src.training.metrics import MetricsLog, Row\n"
        "log = MetricsLog(Path(sys.argv[1]))\n"
        "for step in range(1, 10**6): log.append(Row(1, step, 0.1, 2.0, 3.0)); print(step, flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    said += [int(line) for line in process.communicate()[0].split("\n")[:-1]]
    assert [row.step for row in read_metrics(path)][: len(said)] == said
    assert os.path.getsize(path) > len(HEADER)


# Curves


@pytest.mark.parametrize("validated", [True, False])
def test_curves_are_drawn_beside_the_metrics(tmp_path, validated):
    log = MetricsLog(tmp_path / "metrics.csv")
    assert write_curves(log.path) is None
    for step in range(1, 60):
        end = validated and step % 20 == 0
        top_1, top_5 = (0.5, 0.9) if end else (None, None)
        log.append(Row(step // 20 + 1, step, 0.1 / step, 2 / step, 30.0, val_top_1=top_1, val_top_5=top_5))
    picture = write_curves(log.path)
    assert picture == tmp_path / "curves.png"
    colours = set(map(tuple, read_pixels(picture).reshape(-1, 3).tolist()))
    assert (0, 0x72, 0xB2) in colours  # the loss
    assert ((0, 0x9E, 0x73) in colours) is validated  # top-1


def test_a_loss_that_is_not_a_number_does_not_stop_the_drawing(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv")
    log.append(Row(1, 1, 0.1, float("nan"), 3.0))
    log.append(Row(1, 2, 0.1, float("inf"), 3.0))
    assert write_curves(log.path) is not None


def test_a_missing_top_5_is_a_gap_and_not_a_zero(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv")
    for step, top_5 in ((1, 0.9), (2, 0.95)):
        log.append(Row(step, step, 0.1, 2.0, 3.0, val_top_1=0.85, val_top_5=top_5))
    before = read_pixels(write_curves(log.path))
    log.append(Row(3, 3, 0.1, 2.0, 3.0, val_top_1=0.85))
    after = read_pixels(write_curves(log.path))
    heights = [np.nonzero((pixels == (0, 0x9E, 0x73)).all(-1))[0].min() for pixels in (before, after)]
    # A zero would have stretched the axis and moved top-1 up.
    assert heights[0] == heights[1]


@pytest.mark.parametrize("fault", ["no metrics", "other content", "no place for the picture"])
def test_curves_that_cannot_be_drawn_never_stop_a_training(tmp_path, capsys, fault):
    metrics = tmp_path / "metrics.csv"
    if fault == "other content":
        metrics.write_text("a,b\n")
    if fault == "no place for the picture":
        MetricsLog(metrics).append(Row(1, 1, 0.1, 2.0, 3.0))
        (tmp_path / "curves.png").mkdir()
    before = sorted(tmp_path.iterdir())
    assert write_curves(metrics) is None
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'curves.png'} is left out: ")
    assert sorted(tmp_path.iterdir()) == before


def test_without_matplotlib_there_are_no_curves(tmp_path, monkeypatch):
    MetricsLog(tmp_path / "metrics.csv").append(Row(1, 1, 0.1, 2.0, 3.0))
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # which makes it one that cannot be imported
    assert write_curves(tmp_path / "metrics.csv") is None
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
