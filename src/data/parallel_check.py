"""Checks of many items in processes of their own, which an item may crash."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from typing import TypeVar

from src.common.progress import Progress
from src.common.workers import process_pool

Item = TypeVar("Item")

Check = Callable[[Item], str]

Results = list[tuple[Item, str]]  # (image, reason), an empty reason for a good image

_CHUNK = 16  # files per task: large enough to keep hand-over cheap, small enough for a smooth bar


def find_bad(
    items: Sequence[Item],
    workers: int,
    check: Check[Item],
    progress: Progress | None = None,
    pool: ProcessPoolExecutor | None = None,
) -> Results[Item]:
    """Check items, in several processes, and tell which ones are bad or kill the process that checks them.

    Args:
        items: What is checked.
        workers: Number of processes, >= 1.
        check: A function of a module; returns the reason why an item is bad, or an empty text.
        progress: Is told about every finished item.
        pool: As in find_bad_images.

    Returns:
        The bad items with their reasons, in any order.
    """
    bad: Results[Item] = []
    for results in _check_all(items, workers, check, pool):
        bad += [(item, reason) for item, reason in results if reason]
        if progress:
            progress.update(len(results), f"{len(bad)} bad")
    return bad


def _check_all(
    items: Sequence[Item], workers: int, check: Check[Item], pool: ProcessPoolExecutor | None
) -> Iterator[Results[Item]]:
    """Yield the results of all items in groups; one that kills its process is one more bad item."""
    chunks = deque(list(items[start : start + _CHUNK]) for start in range(0, len(items), _CHUNK))
    while chunks:
        with nullcontext(pool) if pool else process_pool(workers) as running:
            lost = yield from _check_in_pool(chunks, workers, check, running)
        pool = None  # it is broken if there is anything left to do
        yield from _check_one_by_one(deque(lost), check)


def _check_in_pool(
    chunks: deque[list[Item]], workers: int, check: Check[Item], pool: ProcessPoolExecutor
) -> Generator[Results[Item], None, list[Item]]:
    """Take chunks and yield their results; return the items that were under way when a worker was killed."""
    running: dict[Future[Results[Item]], list[Item]] = {}
    try:
        while chunks or running:
            # Few at a time: a large data set does not fill the memory, and a crash loses little.
            while chunks and len(running) < 2 * workers:
                future = pool.submit(_check_chunk, check, chunks[0])
                running[future] = chunks.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                results = future.result()
                del running[future]
                yield results
    except BrokenProcessPool:
        pass
    return [item for chunk in running.values() for item in chunk]


def _check_one_by_one(items: deque[Item], check: Check[Item]) -> Iterator[Results[Item]]:
    """Yield the results of items one of which kills its process."""
    while items:
        with process_pool(1) as pool:
            pool.submit(os.getpid).result()  # processes that cannot even start are no file's fault
            try:
                while items:
                    reason = pool.submit(check, items[0]).result()
                    yield [(items.popleft(), reason)]
            except BrokenProcessPool:
                yield [(items.popleft(), "the decoder's process was killed while reading it")]


def _check_chunk(check: Check[Item], items: Sequence[Item]) -> Results[Item]:
    return [(item, check(item)) for item in items]
