"""The graph of a training step, compiled once for all trainings that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import mindspore as ms

from src.cpu.compile_cache import CompileCache, graph_key
from src.cpu.own_files import cache_folder
from src.model_utils.config import Config
from src.model_utils.local_adapter import Group


class CompileOnce(ms.train.Callback):
    """Takes the graph of a training step from a cache, or keeps it there.

    Args:
        cache: The cache, for this graph alone.
    """

    def __init__(self, cache: CompileCache):
        super().__init__()
        self._cache = cache
        self._is_compiled = False

    def on_train_step_begin(self, run_context: ms.train.RunContext) -> None:
        if not self._is_compiled:
            self._cache.open()

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        if not self._is_compiled:
            self._cache.close()
        self._is_compiled = True


@contextmanager
def compiled_once(config: Config, group: Group, facts: Iterable[object]) -> Iterator[list[CompileOnce]]:
    """Take the graph of a training step from the configured cache while the block runs, or keep it there.

    Args:
        config: With `compile_cache` and the device.
        group: The processes that train together.
        facts: What else than the configuration the graph follows from.

    Yields:
        The callback that does it; none where there is no cache, which is tried on CPU and in one process only.
    """
    folder = cache_folder(config.compile_cache)
    if folder is None or config.device_target != "CPU" or group.size > 1:
        yield []
        return
    cache = CompileCache(folder, graph_key(config, facts))
    try:
        yield [CompileOnce(cache)]
    finally:
        cache.discard()
