"""How many threads or processes fit this machine, and processes that do not outlive the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


def available_workers() -> int:
    """Return the number of cores that this process may use, 1 or more."""
    return len(available_cores())


def available_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return sorted(os.sched_getaffinity(0)) if has_affinity else list(range(os.cpu_count() or 1))


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Start quiet processes: they write nothing to stderr, leave Ctrl-C to this one and end when it is killed.

    Args:
        workers: Number of processes, 1 or more.
    """
    # Spawned, not forked: the caller may have threads, whose locks a fork would copy in any state.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker)


@contextmanager
def prepared_pool(workers: int, prepare: Callable[[], object]) -> Iterator[ProcessPoolExecutor]:
    """Start the same, one process of which prepares itself while this one does other work.

    Args:
        workers: Number of processes, 1 or more.
        prepare: A function of a module.
    """
    with process_pool(workers) as pool:
        pool.submit(prepare)
        yield pool


def _prepare_worker() -> None:
    """Keep a worker quiet: the parent handles Ctrl-C, and libraries write their complaints straight to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the parent is killed; a pool's worker would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
