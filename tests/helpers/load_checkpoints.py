"""Loads checkpoints in a process of its own, which a damaged one may crash: python -m tests.helpers.load_checkpoints.

It prints, for each line of stdin, a path, one line: "refused" and the reason, or "loaded" and a digest of the values.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from src.checkpoints.file import DamagedCheckpoint, read_checkpoint


def digest(path: Path) -> str:
    """Return what tells the entries of a checkpoint from those of another: names, types, shapes and values."""
    whole = hashlib.sha256()
    for name, value in sorted(read_checkpoint(path).items()):
        array = np.array(value) if isinstance(value, str) else value.asnumpy()
        whole.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return whole.hexdigest()


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print("loaded", digest(Path(line.rstrip("\n"))), flush=True)
        except DamagedCheckpoint as error:
            print("refused", error, flush=True)
