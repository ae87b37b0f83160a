"""The processors of a machine that several ranks of a run share, and how many threads each of them may have there."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.common.workers import available_workers
from src.model_utils.config import Config
from src.model_utils.local_adapter import Group, gather_from_ranks

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # the same in all containers of a machine
_MOST = 2048  # processors of a machine that are told apart


@dataclass(frozen=True)
class Share:
    """What a rank has of the processors of its machine.

    Args:
        threads: As many as its equal part of the processors that it may use, 1 or more.
        processors: How many those that share have together.
        ranks: How many share, this one included.
    """

    threads: int
    processors: int
    ranks: int


def machine_number() -> int:
    """Return a number of this machine, other than that of another one, until it starts anew; 0 where none is told."""
    return zlib.crc32(_BOOT.read_bytes()) if _BOOT.exists() else 0


def find_share(group: Group) -> Share | None:
    """Return what this rank has of its machine; all ranks call this at the same point.

    Args:
        group: The processes that train or evaluate together.

    Returns:
        The share; None for a process alone, and where the system does not tell which processors it may use.
    """
    if group.size == 1 or not hasattr(os, "sched_getaffinity"):
        return None
    own = np.zeros(1 + _MOST // 64, np.int64)
    own[0] = machine_number()
    mine = np.zeros(_MOST, np.uint8)
    mine[[number for number in os.sched_getaffinity(0) if number < _MOST]] = 1
    own[1:] = np.packbits(mine).view(np.int64)
    everyone = gather_from_ranks(own, group)
    here = everyone[everyone[:, 0] == own[0], 1:]
    users = np.unpackbits(np.ascontiguousarray(here).view(np.uint8), axis=1).sum(0)
    return Share(threads_of(mine, users), int((users > 0).sum()), len(here))


def share_threads(config: Config, share: Share | None, group: Group) -> Config:
    """Divide the threads that read images among the ranks of a machine, where their number is not given.

    Args:
        config: With `num_parallel_workers`; 0 takes what this rank's part of the machine has.
        share: What this rank has.
        group: The processes that train or evaluate together.

    Returns:
        The configuration with the number of threads of this rank; the first rank says it.
    """
    if share is None or config.num_parallel_workers:
        return config
    if group.rank == 0:
        print(
            f"loader threads in each process: {share.threads}, as {share.ranks} processes share the "
            f"{share.processors} processors of this machine (--num_parallel_workers)",
            flush=True,
        )
    return config.replace(num_parallel_workers=share.threads)


def threads_of(mine: np.ndarray, users: np.ndarray) -> int:
    """Return how many threads are a rank's part of the processors that it may use.

    Args:
        mine: 0 or 1 for each processor, 1 where the rank may use it.
        users: For each processor, how many ranks may use it, this one included.
    """
    if not mine.any():
        return available_workers()
    used = mine > 0
    return max(int((1 / users[used]).sum() + 1e-6), 1)
