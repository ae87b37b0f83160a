"""Kills processes at random moments while they save checkpoints, and looks at what is left after each kill.

Usage: python -m tests.helpers.kill_while_saving FOLDER TRIES
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState
from src.common.files import is_temporary
from src.model_utils.config import parse_config
from src.model_utils.local_adapter import ALONE
from src.training.origin import find_origin
from src.training.resume import restore
from tests.helpers.small_network import build

STEPS = 5


def save_for_ever(keeper: CheckpointKeeper, position: Position, report: int) -> None:
    """Save one checkpoint after another, and report the epoch of each."""
    while True:
        position = Position(position.epoch + 1, 0, STEPS)
        keeper.save(position)
        os.write(report, f"{position.epoch}\n".encode())


def kill_one(keeper: CheckpointKeeper, position: Position) -> int:
    """Start a writer, kill it after a random time, and return the last epoch that it reported as saved."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        save_for_ever(keeper, position, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as reports:
        begun = reports.readline()
        time.sleep(random.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return int((begun + reports.read()).split()[-1])


def main(folder: Path, tries: int) -> None:
    """Kill `tries` writers; print how many left a good checkpoint, and how many had begun another one."""
    config = parse_config(["--resume=auto", "--epoch_size=1000000"], lambda _: "CPU")
    state = TrainingState(*build(width=1500, layers=2))  # 36 MB: saving takes about as long as the random time
    keeper = CheckpointKeeper(folder, state, Keep(every=1, newest=2, last_epoch=config.epoch_size))
    position = Position(1, 0, STEPS)
    keeper.save(position)
    good = unfinished = 0
    for _ in range(tries):
        reported = kill_one(keeper, position)
        position = restore(config, state, STEPS, find_origin(config, folder, ALONE), ALONE).position
        good += position.epoch >= reported
        left = [path for path in folder.iterdir() if is_temporary(path)]
        unfinished += bool(left)
        for path in left:
            shutil.rmtree(path)
    print(f"{tries} kills: {good} good checkpoints, {unfinished} unfinished files")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
