"""The newest checkpoints and the best are kept, and none is written twice."""

from __future__ import annotations

import pytest

from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.position import Position
from src.checkpoints.training_state import load_training
from tests.helpers.small_network import build_state

STEPS = 4


def keeper(folder, every: int = 1, newest: int = 5) -> CheckpointKeeper:
    return CheckpointKeeper(folder, build_state(), Keep(every, newest, last_epoch=5))


def names(folder) -> list[str]:
    return sorted(path.name.removeprefix("Xception-") for path in folder.iterdir())


def best_top_1(path) -> float:
    return load_training(build_state(), path)[0].best_top_1


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


def test_the_best_checkpoint_is_the_first_with_its_top_1_which_the_newest_one_records_too(tmp_path):
    checkpoints = keeper(tmp_path)
    for epoch, top_1 in enumerate((0.5, 0.25, 0.5), start=1):
        position = Position(epoch, 0, STEPS)
        checkpoints.save_if_due(position)
        assert checkpoints.save_best(position, top_1) is (epoch == 1)
    assert names(tmp_path) == ["best.ckpt", "rank0-1_4.ckpt", "rank0-2_4.ckpt", "rank0-3_4.ckpt"]
    assert [best_top_1(path) for path in tmp_path.iterdir()] == 4 * [0.5]
    assert load_training(build_state(), tmp_path / "Xception-best.ckpt")[0].epoch == 1
