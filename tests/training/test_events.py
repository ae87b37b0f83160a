"""TensorBoard, which reads the event files here, shows what metrics.csv has, once, and loses nobody's files."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from src.common.event_file import EventFile
from src.common.folder_lock import only_writer
from src.model_utils.config import ConfigError
from src.model_utils.local_adapter import Group
from src.training.events import only_log_writer, open_events
from src.training.folder import open_folder
from src.training.metrics import Row, read_metrics
from tests.helpers.small_training import train_small

COLUMNS = {
    "training/loss": "loss",
    "training/lr": "lr",
    "training/images_per_second": "images_per_second",
    "training/epoch": "epoch",
    "validation/top_1": "val_top_1",
    "validation/top_5": "val_top_5",
    "validation/loss": "val_loss",
}
Curves = dict[str, list[tuple[int, float]]]


def reader(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return accumulator.Reload()


def curves(folder: Path) -> Curves:
    events = reader(folder)
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def curves_of(rows: list[Row]) -> Curves:
    values = {tag: [(row.step, getattr(row, name)) for row in rows] for tag, name in COLUMNS.items()}
    return {
        tag: [(step, float(np.float32(value))) for step, value in pairs if value is not None]
        for tag, pairs in values.items()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def opened(folder: Path, purge_step: int | None = None, checkpoints: str = "model_0") -> Iterator:
    folder.mkdir(exist_ok=True)
    log = open_events(folder, folder / checkpoints, purge_step)
    yield log
    log.close()


def row(step: int, **values: float | None) -> Row:
    return Row(**{"epoch": 1, "step": step, "lr": 0.5, "loss": step / 8, "images_per_second": 2.0, **values})


def test_the_events_are_the_metrics_with_images_also_after_a_resume_and_training_is_the_same(
    few_digits, trained_small, tmp_path
):
    out, runs = tmp_path / "out", tmp_path / "runs"
    words = ("--eval_while_train", f"--log_dir={runs}")
    assert train_small(few_digits, out, *words) == 0
    rows = read_metrics(out / "model_0" / "metrics.csv")
    assert [each.loss for each in rows] == [each.loss for each in read_metrics(trained_small / "metrics.csv")]
    assert curves(runs) == curves_of(rows)
    (image,) = reader(runs).Images("training/images")
    with Image.open(io.BytesIO(image.encoded_image_string)) as picture:
        assert (image.step, image.width, image.height) == (1, *picture.size)

    before = contents(runs)
    resume = f"--resume={out / 'model_0' / 'Xception-rank0-1_5.ckpt'}"
    assert train_small(few_digits, out, *words, "--log_steps=1", "--epoch_size=3", resume) == 0
    rows = read_metrics(out / "model_0" / "metrics.csv")
    assert [each.step for each in rows] == [2, 4, *range(5, 16)]
    assert curves(runs) == curves_of(rows)
    assert [each.step for each in reader(runs).Images("training/images")] == [1, 6]
    assert before.items() < contents(runs).items()


def test_another_training_leaves_the_files_of_an_earlier_one_in_a_run_of_their_own(tmp_path, capsys):
    runs = tmp_path / "runs"
    for checkpoints, purge_step in (("a", None), ("a", None), ("b", 4)):
        with opened(runs, purge_step, checkpoints) as log:
            log.add(row(8))
    said = capsys.readouterr()
    assert said.out == "".join(
        f"event files of an earlier run are in {runs}/earlier-{number} now\n" for number in (1, 2)
    )
    assert said.err == ""
    for folder in (runs, runs / "earlier-1", runs / "earlier-2"):
        assert curves(folder)["training/loss"] == [(8, 1.0)]


def test_files_of_other_programs_stay_and_are_told(tmp_path, capsys):
    foreign = tmp_path / "events.out.tfevents.17.host"
    foreign.write_bytes(b"mine")
    with opened(tmp_path):
        assert foreign.read_bytes() == b"mine"
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path} holds event files of another program too")


def test_a_clock_that_was_set_back_changes_nothing(tmp_path, monkeypatch):
    for now, steps in ((2e9, (1, 2, 3)), (1e9, (2, 4)), (1e9, (4, 5))):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with opened(tmp_path, steps[0]) as log:
            for step in steps:
                log.add(row(step))
    assert [step for step, _ in curves(tmp_path)["training/lr"]] == [1, 2, 4, 5]


def test_a_row_that_comes_again_or_was_there_before_is_written_once_and_nan_never(tmp_path):
    with opened(tmp_path, 3) as log:
        log.add(row(2))
        log.add(row(3, loss=math.nan, lr=0.25))
        for top_1 in (None, 0.75, 0.75):
            log.add(row(4, val_top_1=top_1))
    found = curves(tmp_path)
    assert found["training/loss"] == [(4, 0.5)]
    assert found["training/lr"] == [(3, 0.25), (4, 0.5)]
    assert found["validation/top_1"] == [(4, 0.75)]


def test_an_event_file_takes_the_place_of_no_other(tmp_path):
    (tmp_path / "tfevents").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        EventFile(tmp_path / "tfevents")
    assert (tmp_path / "tfevents").read_bytes() == b"mine"


def test_a_full_disk_ends_the_events_with_a_line_and_no_training(tmp_path, monkeypatch, capsys):
    with opened(tmp_path) as log:
        log.add(row(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
            log.add(row(2))
        log.add(row(3))
        log.add_images(3, b"")
    assert capsys.readouterr().err == f"warning: {tmp_path} gets no more events: No space left on device\n"
    assert curves(tmp_path)["training/loss"][0] == (1, 0.125)


def test_a_folder_of_events_has_one_training_at_a_time_and_may_be_that_of_the_checkpoints(tmp_path):
    with only_log_writer(str(tmp_path / "runs"), tmp_path / "a"):
        message = "another training is writing to .*/runs: wait for it, or choose another --log_dir"
        with pytest.raises(ValueError, match=message), only_log_writer(str(tmp_path / "runs"), tmp_path / "b"):
            pass
    with only_writer(tmp_path, "another", "choose"), only_log_writer(str(tmp_path), tmp_path):
        pass


def test_the_first_rank_alone_writes():
    with open_folder(SimpleNamespace(group=Group(1, 2)), None, None) as written:
        assert written == (None, None, None)


def test_without_the_library_a_line_says_what_to_install_before_any_work(monkeypatch):
    monkeypatch.setattr(train, "has_tensorboard", lambda: False)
    monkeypatch.setattr(train, "run_train", lambda _: pytest.fail("work has begun"))
    message = r"^log_dir is runs, but tensorboard is not installed: pip install -r requirements-tensorboard\.txt$"
    with pytest.raises(ConfigError, match=message):
        train.main(["--device_target=CPU", "--log_dir=runs"])
