"""The end of a training whose validations do not improve any more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from src.checkpoints.best import NONE, is_better
from src.model_utils.config import Config, ConfigError
from src.model_utils.local_adapter import ALONE, Group, gather_from_ranks
from src.training.line import is_here, rows_before
from src.training.metrics import Row
from src.training.origin import AUTO
from src.training.resume import Start


class EarlyStopping:
    """Counts the validations since the best one.

    Args:
        patience: How many of them end the training, 1 or more; 0 for none.
        metric: What is compared, one of METRICS.
        rows: Metrics of the training so far, which hold its validations.
        group: The processes that train together.
    """

    def __init__(self, patience: int, metric: str, rows: Iterable[Row] = (), group: Group = ALONE):
        self._group = group
        self._patience = patience
        self._metric = metric
        self._best = NONE
        self._best_epoch = self._since = 0
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Count a row, if it holds a validation."""
        figure = getattr(row, f"val_{self._metric}")
        if figure is None:
            return
        if is_better(self._metric, figure, self._best):
            self._best, self._best_epoch, self._since = figure, row.epoch, 0
        else:
            self._since += 1

    def is_over(self) -> bool:
        """Tell whether training is to end; all ranks call this together, and the first one decides."""
        if not self._patience:
            return False
        return bool(gather_from_ranks(np.array(int(self._since >= self._patience), np.int64), self._group)[0])

    def reason(self) -> str:
        """Return why it is to end, with figures on the first rank."""
        if self._group.rank:
            return f"validation {self._metric} has not improved"
        return (
            f"validation {self._metric} has not improved in {self._since} validations; the best was {self._best:.4f} "
            f"after epoch {self._best_epoch}"
        )


def resume_stopping(config: Config, folder: Path, start: Start, group: Group, *, owes: bool) -> EarlyStopping:
    """Return the count of a training that begins or goes on, from the metrics of its folder.

    Args:
        config: With `early_stopping` and `best_metric`.
        folder: The folder of the training.
        start: Where it starts.
        group: The processes that train together; the first one reads and speaks.
        owes: Whether the last validation is to be made up, and so will be counted then.
    """
    if not (config.early_stopping and config.eval_while_train):
        return EarlyStopping(0, config.best_metric)
    rows = rows_before(folder, start) if group.rank == 0 else []
    if group.rank == 0 and start.checkpoint and not is_here(start, folder):
        print("early_stopping counts validations from here on: those before are in another folder", flush=True)
    owed = start.position.last_epoch if owes else -1
    return EarlyStopping(config.early_stopping, config.best_metric, [row for row in rows if row.epoch != owed], group)


def say_stopped(config: Config, stopping: EarlyStopping, start: Start) -> None:
    """Say that a training has ended early before, which only `auto` may find.

    Args:
        config: With `resume` and `early_stopping`.
        stopping: The count.
        start: Where the training would go on.

    Raises:
        ConfigError: If a checkpoint is named.
    """
    said = (
        f"the training ended early after epoch {start.position.last_epoch}: {stopping.reason()}; a higher "
        f"--early_stopping than {config.early_stopping} goes on"
    )
    if config.resume != AUTO:
        raise ConfigError(f"nothing to train: {said}")
    print(said, flush=True)
