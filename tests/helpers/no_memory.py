"""Ranks that cannot share memory, for one reason or another."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from unittest import mock

import numpy as np

from src.cpu.shared_memory import share_memory, shares_memory
from src.model_utils.config import Config
from src.model_utils.local_adapter import Group


def no_memory(config: Config, library: Path, group: Group) -> dict[str, np.ndarray]:
    """Let ranks fail to share memory in several ways; return what each says, and whether it shares any."""

    def refuse(*_: int) -> None:
        raise OSError(28, "No space left on device")

    ways = {
        "other operators": (library.with_name(f"{library.name}{group.rank}"), {}),
        "no memory": (library, {"os.posix_fallocate": refuse} if group.rank == 0 else {}),
        "other processes": (library, {"_leads_to": lambda *_: False} if group.rank == 1 else {}),
        "no right": (library, {"_join": lambda *_: "it is not allowed"} if group.rank == 1 else {}),
    }
    found = {}
    for name, (each, changes) in ways.items():
        with contextlib.ExitStack() as stack, contextlib.redirect_stderr(io.StringIO()) as said:
            for target, stand_in in changes.items():
                stack.enter_context(mock.patch(f"src.cpu.shared_memory.{target}", stand_in))
            share_memory(config, each, group)
        found[f"{name}: said"] = np.array(said.getvalue())
        found[f"{name}: shares"] = np.array(shares_memory(library))
    return found
