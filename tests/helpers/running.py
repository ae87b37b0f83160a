"""A command that a test looks at, and stops, while it runs."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.project import ROOT


@contextmanager
def started(words: list[str], cwd: Path, script: str = "train.py"):
    """Start a training; it is gone at the end of the block in any case."""
    process = subprocess.Popen(
        [sys.executable, ROOT / script, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen, start: str) -> str:
    """Read the output of a process up to the line that starts so, and return it."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return "".join(lines)
    raise AssertionError(f"no line {start}: {''.join(lines)} {process.stderr.read()}")
