"""A folder is one line of training: what is later than where it goes on moves aside, whatever the files are named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from src.checkpoints.best import TOP_1
from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.position import Position
from src.checkpoints.record import read_position
from src.checkpoints.training_state import save_training
from src.evaluation.counting import Result
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE
from src.training.early_stopping import EarlyStopping
from src.training.epoch_end import Validation
from src.training.line import open_line, owes_validation
from src.training.metrics import MetricsLog, Row, read_metrics
from src.training.origin import find_origin
from src.training.resume import restore
from tests.helpers.small_network import build_state

FIRST = (0.5, 0.8, 0.6)  # top-1 after each epoch


class Killed(Exception):
    """The process ends here."""


def train(folder: Path, top_1: tuple[float, ...] = (), *words: str, steps: int = 10, dies: str = "") -> Position:
    """Do all that a training does to its folder, with a small network; return where it went on.

    Args:
        folder: The folder.
        top_1: What each validation finds, of the epochs that are trained now; a made-up one finds 0.4.
        words: Options.
        steps: Steps of an epoch.
        dies: Where it ends: "early", in the middle of the first epoch; "validating" or "saving row", after it.
    """
    config = parse_config(["--epoch_size=9", "--eval_while_train", *words], lambda _: "CPU")
    state = build_state()
    start = restore(config, state, steps, find_origin(config, folder, ALONE), ALONE)
    owes = owes_validation(config, folder, start, ALONE)
    folder.mkdir(exist_ok=True)
    line = open_line(config, folder, ["a", "b"], start)
    keep = Keep(config.save_checkpoint_epochs, config.keep_checkpoint_max, config.epoch_size)
    keeper = CheckpointKeeper(folder, state, keep, line.best)
    stopping = EarlyStopping(0, TOP_1)
    new_validation = partial(Validation, metrics=line.metrics, keeper=keeper, config=config, stopping=stopping)
    if owes:
        new_validation(lambda: result(0.4)).make_up(start.position, 0.1)
    for epoch, share in enumerate(top_1, start=start.position.epoch + 1):
        for step in range(start.position.step + 1 if epoch == start.position.epoch + 1 else 1, steps + 1):
            row = Row(epoch, (epoch - 1) * steps + step, 0.1, 1.0, 9.0)
            line.metrics.append(row)
            if step == steps // 2 and dies == "early":
                return start.position
        keeper.save_if_due(Position(epoch, 0, steps))
        if dies == "validating":
            return start.position
        validation = new_validation(lambda share=share: result(share))
        if dies == "saving row":
            line.metrics.add_validation = stop
            with pytest.raises(Killed):
                validation.run(Position(epoch, 0, steps), row)
            return start.position
        validation.run(Position(epoch, 0, steps), row)
    return start.position


def stop(_: Row) -> None:
    raise Killed


def result(top_1: float) -> Result:
    return Result(10, 1.0, top_1, 1.0, np.zeros((2, 2), np.int64))


def names(folder: Path) -> set[str]:
    return {path.name.removeprefix("Xception-") for path in folder.iterdir()}


def checkpoints(folder: Path) -> dict[str, Position]:
    return {path.name.removeprefix("Xception-").removesuffix(".ckpt"): recorded(path) for path in folder.glob("*.ckpt")}


def recorded(path: Path) -> Position:
    position = read_position(path)
    return replace(position, best=round(position.best, 4))  # stored in float32


def validated(folder: Path) -> dict[int, float | None]:
    """Return the validation of the last row of each epoch."""
    return {row.epoch: row.val_top_1 for row in read_metrics(folder / "metrics.csv")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr("src.training.epoch_end.write_curves", lambda path: path.with_name("curves.png").touch())


@pytest.fixture(scope="module")
def three_epochs(tmp_path_factory) -> Path:
    """The folder of a training of three epochs, the second of them the best; only to be read."""
    folder = tmp_path_factory.mktemp("three") / "x"
    train(folder, FIRST)
    assert set(checkpoints(folder)) == {"rank0-1_10", "rank0-2_10", "rank0-3_10", "best"}
    return folder


@pytest.fixture
def folder(three_epochs, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(three_epochs, tmp_path / "x"))


# Two lines of training


@pytest.mark.parametrize("source", ["best", "copy of the best", "copy of the second", "second"])
def test_a_line_that_is_left_moves_aside_and_auto_goes_on_with_the_new_one(folder, tmp_path, source):
    original = folder / ("Xception-rank0-2_10.ckpt" if "second" in source else "Xception-best.ckpt")
    path = shutil.copy(original, folder / "mine.ckpt") if "copy" in source else original
    before = contents(folder)
    assert train(folder, (0.7,), f"--resume={path}").epochs == (2, 0)
    aside = folder / "earlier-1"
    assert contents(aside) == {
        name: before[name]
        for name in ("Xception-rank0-3_10.ckpt", "metrics.csv", "config.yaml", "curves.png")
        if name in before
    }
    assert validated(folder) == {1: 0.5, 2: 0.8, 3: 0.7}
    assert (folder / "Xception-best.ckpt").read_bytes() == before["Xception-best.ckpt"]
    assert train(folder, (0.75,), "--resume=auto").epochs == (3, 0)
    assert validated(folder) == {1: 0.5, 2: 0.8, 3: 0.7, 4: 0.75}
    assert not (folder / "earlier-2").exists()


def test_a_best_checkpoint_of_a_later_position_neither_decides_nor_is_lost(folder, capsys):
    best = (folder / "Xception-best.ckpt").read_bytes()
    train(folder, (0.55, 0.45), f"--resume={folder}/Xception-rank0-1_10.ckpt")
    assert (folder / "earlier-1" / "Xception-best.ckpt").read_bytes() == best
    assert set(checkpoints(folder / "earlier-1")) == {"rank0-2_10", "rank0-3_10", "best"}
    assert recorded(folder / "Xception-best.ckpt") == Position(2, 0, 10, 0.55)
    assert "the best is looked for anew" in capsys.readouterr().out


def test_in_a_new_folder_the_best_starts_anew_from_where_training_goes_on(folder, tmp_path):
    before = contents(folder)
    train(tmp_path / "new", (0.3,), f"--resume={folder}/Xception-rank0-2_10.ckpt")
    assert contents(folder) == before
    assert recorded(tmp_path / "new" / "Xception-best.ckpt") == Position(2, 0, 10, 0.4)
    assert validated(tmp_path / "new") == {2: 0.4, 3: 0.3}


def test_a_file_under_the_name_of_another_position_is_taken_for_what_it_records_and_never_written_over(folder):
    first = (folder / "Xception-rank0-1_10.ckpt").read_bytes()
    (folder / "Xception-rank0-1_10.ckpt").rename(folder / "Xception-rank0-4_10.ckpt")
    assert train(folder, (0.7,), "--resume=auto").epochs == (3, 0)
    assert (folder / "earlier-1" / "Xception-rank0-4_10.ckpt").read_bytes() == first
    assert recorded(folder / "Xception-rank0-4_10.ckpt").epoch == 4


@pytest.mark.parametrize("length", [0, 30, 600])
def test_a_damaged_checkpoint_is_named_and_moves_aside(folder, length, capsys):
    path = folder / "Xception-rank0-3_10.ckpt"
    path.write_bytes(path.read_bytes()[:length])
    assert train(folder, (), "--resume=auto").epochs == (2, 0)
    assert f"skipping {path}: " in capsys.readouterr().out
    assert (folder / "earlier-1" / path.name).stat().st_size == length


def test_a_damaged_best_checkpoint_does_not_decide_which_is_the_best(folder):
    path = folder / "Xception-best.ckpt"
    path.write_bytes(path.read_bytes()[:-20])
    train(folder, (0.6,), "--resume=auto")
    assert (folder / "earlier-1" / path.name).exists()
    assert recorded(path).best == 0.6


def test_metrics_of_another_kind_are_an_error_before_anything_moves(folder):
    (folder / "metrics.csv").write_text("a,b\n")
    before = contents(folder)
    with pytest.raises(ValueError, match=r"metrics\.csv, line 1: expected the header"):
        train(folder, (), f"--resume={folder}/Xception-rank0-1_10.ckpt")
    assert contents(folder) == before


# Other steps per epoch


@pytest.mark.parametrize("steps", [5, 3, 20, 7])
def test_other_steps_per_epoch_keep_the_rows_of_finished_epochs_and_go_on_from_the_newest(folder, steps):
    before = read_metrics(folder / "metrics.csv")
    for epoch in (3, 4, 5):
        assert train(folder, (0.7,), "--resume=auto", "--keep_checkpoint_max=2", steps=steps).epochs == (epoch, 0)
    rows = read_metrics(folder / "metrics.csv")
    assert rows[: len(before)] == before
    assert [row.epoch for row in rows[len(before) :]] == [4] * steps + [5] * steps + [6] * steps
    assert set(checkpoints(folder)) == {f"rank0-5_{steps}", f"rank0-6_{steps}", "best"}


@pytest.mark.parametrize("steps", [5, 3, 20, 7, 9])
def test_a_stop_inside_an_epoch_of_other_steps_is_gone_on_with_and_never_repeated(folder, steps):
    inside = Position(3, 7, 10, 0.8)
    save_training(folder / "Xception-rank0-4_7.ckpt", build_state(), inside)
    log = MetricsLog(folder / "metrics.csv", inside)
    for step in range(1, 8):
        log.append(Row(4, 30 + step, 0.1, 1.0, 9.0))
    before = read_metrics(log.path)
    at = 7 * steps // 10
    assert replace(train(folder, (), "--resume=auto", steps=steps), best=0.8) == Position(3, at, steps, 0.8)
    assert read_metrics(log.path) == before
    # Stopped again after one step.
    log.append(Row(4, 3 * steps + at + 1, 0.1, 1.0, 9.0))
    if at + 1 < steps:
        again = Position(3, at + 1, steps, 0.8)
        save_training(folder / f"Xception-rank0-4_{at + 1}.ckpt", build_state(), again)
        assert replace(train(folder, (), "--resume=auto", steps=steps), best=0.8) == again
        assert read_metrics(log.path)[: len(before)] == before


# Validations


@pytest.mark.parametrize("place", ["validating", "saving row"])
def test_a_validation_that_was_interrupted_is_made_up(folder, place, capsys):
    train(folder, (0.9,), "--resume=auto", dies=place)
    before = read_metrics(folder / "metrics.csv")
    assert (before[-1].epoch, before[-1].val_top_1) == (4, None)
    capsys.readouterr()
    train(folder, (), "--resume=auto", "--epoch_size=4")
    assert "epoch 4 has no validation here: it is validated first" in capsys.readouterr().out
    after = read_metrics(folder / "metrics.csv")
    assert after[:-1] == before[:-1]
    assert (after[-1].step, after[-1].loss, after[-1].val_top_1) == (40, 1.0, 0.4)
    assert recorded(folder / "Xception-best.ckpt").best == (0.8 if place == "validating" else 0.9)
    train(folder, (), "--resume=auto", "--epoch_size=4")
    assert "validated first" not in capsys.readouterr().out


def test_a_best_checkpoint_that_was_not_written_is_made_up_too(folder):
    best = folder / "Xception-best.ckpt"
    train(folder, (0.9,), "--resume=auto", dies="validating")
    save_training(folder / "Xception-rank0-4_10.ckpt", build_state(), Position(4, 0, 10, 0.85))  # the kill came here
    train(folder, (0.82,), "--resume=auto")
    assert recorded(best) == Position(5, 0, 10, 0.82)


# Kills


def test_kills_before_the_first_checkpoint_leave_nothing_behind(tmp_path):
    for words in ((), ("--resume=auto",), ("--resume=auto",), ()):
        assert train(tmp_path / "x", (0.5,), *words, dies="early") == Position(0, 0, 10)
        assert "earlier-1" not in names(tmp_path / "x")
        assert [row.step for row in read_metrics(tmp_path / "x" / "metrics.csv")] == [1, 2, 3, 4, 5]


def test_kills_between_checkpoints_leave_nothing_behind(folder):
    for _ in range(3):
        assert train(folder, (0.5,), "--resume=auto", dies="early").epochs == (3, 0)
        assert "earlier-1" not in names(folder)
    assert [row.step for row in read_metrics(folder / "metrics.csv")] == list(range(1, 36))


@pytest.mark.parametrize("again", [("--lr_max=0.1",), ("--resume=auto", "--seed=2")])
def test_what_a_run_of_other_settings_left_is_kept(tmp_path, again):
    folder = tmp_path / "x"
    train(folder, (0.5,), dies="early")
    before = contents(folder)
    for _ in range(2):
        train(folder, (0.5,), *again, dies="early")
        assert contents(folder / "earlier-1") == before
    assert "earlier-2" not in names(folder)


def test_rows_that_other_settings_would_change_are_kept_once(folder):
    train(folder, (0.5,), "--resume=auto", dies="early")
    before = (folder / "metrics.csv").read_bytes()
    for _ in range(2):
        train(folder, (0.5,), "--resume=auto", "--lr_max=0.1", dies="early")
    assert (folder / "earlier-1" / "metrics.csv").read_bytes() == before
    assert "earlier-2" not in names(folder)


def test_metrics_of_a_finished_run_without_checkpoints_are_never_written_over(tmp_path):
    for number in range(3):
        folder = tmp_path / "x"
        config = parse_config(["--save_checkpoint=False"], lambda _: "CPU")
        folder.mkdir(exist_ok=True)
        start = restore(config, build_state(), 10, None, ALONE)
        open_line(config, folder, ["a"], start).metrics.append(Row(1, 1, 0.1, 1.0, 9.0))
        assert len(list(folder.glob("earlier-*"))) == number


@pytest.mark.parametrize(
    ("before", "words", "steps", "goes_on"),
    [
        ({}, (), 10, False),
        ({"top_1": FIRST}, (), 10, False),
        ({"top_1": FIRST}, ("--resume=auto",), 10, True),
        ({"top_1": FIRST}, ("--resume=auto",), 20, False),
        ({"top_1": FIRST, "dies": "early"}, (), 10, True),
        ({"top_1": FIRST, "dies": "early"}, ("--seed=2",), 10, False),
    ],
    ids=["nothing", "anew", "resumed", "other steps", "killed early", "killed early, other settings"],
)
def test_steps_count_on_where_a_training_goes_on_or_begins_again_as_it_was(before, words, steps, goes_on, tmp_path):
    if before:
        train(tmp_path, **before)
    config = parse_config(["--epoch_size=9", "--eval_while_train", *words], lambda _: "CPU")
    start = restore(config, build_state(), steps, find_origin(config, tmp_path, ALONE), ALONE)
    assert open_line(config, tmp_path, ["a", "b"], start).goes_on is goes_on
