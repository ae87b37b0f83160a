"""Keeping MindSpore's own log out of the way where this project says the same in one line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced_logging() -> Iterator[None]:
    """Drop all messages of Python's logging inside a `with` block, and restore what was set before."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def silence_mindspore() -> None:
    """Keep MindSpore's log to what this project does not say itself; to be called before MindSpore is imported.

    Its compiler warns of its cache of graphs, found or not; its data sets log what they raise; each step of the ranks'
    meeting is a warning. Errors of the compiler and of the meeting are still logged. Levels that a user has set count
    instead.
    """
    if "GLOG_v" not in os.environ:
        os.environ.setdefault("MS_SUBMODULE_LOG_v", "{PIPELINE:3,MD:4,DISTRIBUTED:3}")
