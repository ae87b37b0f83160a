"""TensorBoard event files, written by TensorBoard's own writer, which needs no TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MISSING_TENSORBOARD = "tensorboard is not installed: pip install -r requirements-tensorboard.txt"


def has_tensorboard() -> bool:
    """Tell whether event files can be written."""
    return importlib.util.find_spec("tensorboard") is not None


class EventFile:
    """A new event file, each of whose events is on the disk before the call returns.

    Args:
        path: The file, which may not exist; TensorBoard reads the files of a folder in the order of their names, and
            only those with "tfevents" in it.
        purge_step: TensorBoard drops what earlier files of the folder hold of this step and later ones; None drops
            nothing.

    Raises:
        OSError: If it cannot be written.
    """

    def __init__(self, path: Path, purge_step: int | None = None):
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
        self._stream = path.open("xb")
        self._records = RecordWriter(self._stream)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of a step, by the names of their curves.

        Raises:
            OSError: If they cannot be written.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(self._event(step=step, summary=Summary(value=found)))

    def add_image(self, step: int, tag: str, png: bytes) -> None:
        """Write a picture of a step, the content of a PNG file.

        Raises:
            OSError: If it cannot be written.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack_from(">II", png, 16)  # where its header has them
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
        self._write(self._event(step=step, summary=Summary(value=[Summary.Value(tag=tag, image=image)])))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._stream.flush()
        os.fsync(self._stream.fileno())
