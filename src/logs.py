"""Keeping MindSpore's own log out of the way where this project says the same in one line."""

from __future__ import annotations

import logging
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
