"""The newest checkpoints and the best are kept, and none is written twice."""

from __future__ import annotations

import numpy as np
import pytest

from src.checkpoints.best import is_better
from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.position import Position
from src.checkpoints.record import read_position
from src.checkpoints.training_state import load_training
from tests.helpers.mounts import mounted, take_away
from tests.helpers.small_network import build_state

STEPS = 4


def keeper(folder, every: int = 1, newest: int = 5) -> CheckpointKeeper:
    return CheckpointKeeper(folder, build_state(), Keep(every, newest, last_epoch=5))


def names(folder) -> list[str]:
    return sorted(path.name.removeprefix("Xception-") for path in folder.iterdir())


def best(path) -> float:
    return load_training(build_state(), path)[0].best


@pytest.mark.parametrize(("every", "newest", "left"), [(1, 2, "45"), (2, 5, "245"), (3, 1, "5")])
def test_the_newest_of_the_epochs_that_are_due_are_kept(tmp_path, every, newest, left):
    checkpoints = keeper(tmp_path, every, newest)
    for epoch in range(1, 6):
        checkpoints.save_if_due(Position(epoch, 0, STEPS))
    assert names(tmp_path) == [f"rank0-{epoch}_4.ckpt" for epoch in left]


def test_a_checkpoint_that_has_just_been_saved_is_not_written_again(tmp_path):
    checkpoints = keeper(tmp_path)
    checkpoints.save_if_due(Position(1, 0, STEPS))
    (path,) = tmp_path.iterdir()
    before = path.stat()
    assert checkpoints.save(Position(1, 0, STEPS)) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_disk_that_goes_is_told_once_and_checkpoints_are_saved_all_the_same(tmp_path, capsys):
    folder = tmp_path / "disk" / "model_0"
    with mounted(tmp_path / "disk"):
        folder.mkdir()
        checkpoints = keeper(folder)
        checkpoints.save(Position(1, 0, STEPS))
        assert capsys.readouterr().err == ""
        take_away(tmp_path / "disk")
        for epoch in (2, 3):
            checkpoints.save(Position(epoch, 0, STEPS))
    assert names(folder) == ["rank0-2_4.ckpt", "rank0-3_4.ckpt"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {folder} lies on another disk than before: was that one unmounted?")


def test_the_best_checkpoint_is_the_first_with_its_top_1_which_the_newest_one_records_too(tmp_path):
    checkpoints = keeper(tmp_path)
    for epoch, top_1 in enumerate((0.5, 0.25, 0.5), start=1):
        position = Position(epoch, 0, STEPS)
        checkpoints.save_if_due(position)
        assert checkpoints.save_best(position, top_1) is (epoch == 1)
    assert names(tmp_path) == ["best.ckpt", "rank0-1_4.ckpt", "rank0-2_4.ckpt", "rank0-3_4.ckpt"]
    assert [best(path) for path in tmp_path.iterdir()] == 4 * [0.5]
    assert load_training(build_state(), tmp_path / "Xception-best.ckpt")[0].epoch == 1


def test_the_best_loss_is_the_smallest_and_its_entry_says_what_it_is(tmp_path):
    checkpoints = CheckpointKeeper(tmp_path, build_state(), Keep(1, 5, last_epoch=5, metric="loss"))
    found = [checkpoints.save_best(Position(epoch, 0, STEPS), loss) for epoch, loss in enumerate((2.0, 3.0, 1.0), 1)]
    assert found == [True, False, True]
    recorded = read_position(tmp_path / "Xception-best.ckpt")
    assert (
        recorded
        == load_training(build_state(), tmp_path / "Xception-best.ckpt")[0]
        == Position(3, 0, STEPS, 1.0, "loss")
    )


@pytest.mark.parametrize(
    ("metric", "figure", "before", "better"),
    [
        ("top_1", 0.5, -1.0, True), ("top_1", 0.5, 0.5, False), ("top_5", 0.6, 0.5, True), ("loss", 0.6, 0.5, False),
        ("loss", 0.4, 0.5, True), ("loss", 9.0, -1.0, True), ("loss", float("nan"), -1.0, False),
        ("top_1", 0.1, float(np.float32(0.1)), False), ("loss", 0.1, float(np.float32(0.1)), False),
    ],
)  # fmt: skip
def test_which_validation_is_better(metric, figure, before, better):
    assert is_better(metric, figure, before) is better
