"""The TensorBoard event files of a training: its metrics and a few of its images, in a folder of their own."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from src.common.event_file import EventFile
from src.common.files import move_aside, printable
from src.common.folder_lock import only_writer
from src.common.system_errors import describe
from src.training.metrics import Row

_TAGS = {
    "training/loss": "loss",
    "training/lr": "lr",
    "training/images_per_second": "images_per_second",
    "training/epoch": "epoch",
    "validation/top_1": "val_top_1",
    "validation/top_5": "val_top_5",
    "validation/loss": "val_loss",
}
_IMAGES = "training/images"
_OWN = re.compile(r"events\.out\.tfevents\.(\d+)\.xception-([0-9a-f]{8})")
_SHARED = (
    "warning: {} holds event files of another program too, which TensorBoard shows as one run with those of this "
    "training: give --log_dir a folder of its own"
)


class EventLog:
    """Writes the events of a training; what cannot be written ends the events and never the training.

    Args:
        path: The event file, which is created.
        purge_step: What earlier files hold of this step and later ones is to come again; None for a new training.
    """

    def __init__(self, path: Path, purge_step: int | None):
        self._folder = path.parent
        # Step of the newest value of each curve: none comes twice.
        self._last = dict.fromkeys(_TAGS, -1 if purge_step is None else purge_step - 1)
        self._file: EventFile | None = None
        with self._lasting():
            self._file = EventFile(path, purge_step)

    def add(self, row: Row) -> None:
        """Write what a row of metrics.csv has and the events do not have yet."""
        values = {tag: getattr(row, name) for tag, name in _TAGS.items()}
        new = {
            tag: value
            for tag, value in values.items()
            if value is not None and math.isfinite(value) and row.step > self._last[tag]
        }
        if new:
            self._last |= dict.fromkeys(new, row.step)
            self._write(lambda file: file.add_scalars(row.step, new))

    def add_images(self, step: int, png: bytes) -> None:
        """Write a picture of training images, the content of a PNG file, that a step is fed."""
        self._write(lambda file: file.add_image(step, _IMAGES, png))

    def close(self) -> None:
        """Close the file."""
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()

    def _write(self, what: Callable[[EventFile], None]) -> None:
        if self._file:
            with self._lasting():
                what(self._file)

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Let an error of the disk end the events with a line."""
        try:
            yield
        except OSError as error:
            print(f"warning: {self._folder} gets no more events: {describe(error)}", file=sys.stderr, flush=True)
            self.close()
            self._file = None


@contextmanager
def only_log_writer(log_dir: str, checkpoints: Path) -> Iterator[None]:
    """Keep the folder of the events for this training alone; it may be that of the checkpoints, which is kept already.

    Raises:
        ValueError: If another training writes there.
        OSError: If it cannot be created.
    """
    folder = Path(log_dir)
    if not log_dir or folder.resolve() == checkpoints.resolve():
        yield
        return
    with only_writer(folder, "another training", "choose another --log_dir"):
        yield


def open_events(folder: Path, checkpoints: Path, purge_step: int | None) -> EventLog:
    """Begin the next event file of a folder; files of other trainings move to `earlier-N` there, a run of its own.

    Args:
        folder: Kept for this training alone; what other programs have there stays.
        checkpoints: The folder of the checkpoints, by which the files of a training know each other.
        purge_step: The step that its events go on with; None where a new training begins.

    Raises:
        OSError: If a file cannot be moved.
    """
    identity = hashlib.sha256(os.fsencode(checkpoints.resolve())).hexdigest()[:8]
    found = {path: match for path in folder.iterdir() if (match := _OWN.fullmatch(path.name))}
    others = [path for path, match in found.items() if purge_step is None or match[2] != identity]
    if aside := move_aside(sorted(others), folder):
        print(f"event files of an earlier run are in {printable(aside)} now", flush=True)
    if any("tfevents" in path.name and path not in found for path in folder.iterdir() if path.is_file()):
        print(_SHARED.format(printable(folder)), file=sys.stderr, flush=True)
    # Later than all before, whatever the clock says: TensorBoard reads in this order.
    number = max([int(time.time()), *(int(match[1]) + 1 for match in found.values())])
    return EventLog(folder / f"events.out.tfevents.{number:010d}.xception-{identity}", purge_step)
