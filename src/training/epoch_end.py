"""What happens after each epoch: checkpoints, validation, metrics and curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mindspore as ms

from src.checkpoints.keeper import CheckpointKeeper
from src.evaluation.counting import Result
from src.training.log import TrainingLog
from src.training.metrics import MetricsLog, write_curves
from src.training.plan import TrainingPlan
from src.training.stop import StopOnSignal


class EpochEnd(ms.train.Callback):
    """After each epoch: saves checkpoints, validates, and writes metrics and curves.

    Args:
        plan: The steps of the training.
        log: The training log, which stands before this in the list of callbacks.
        stop: Ends training on a signal; stands before this too.
        validate: Evaluates the network, on all ranks together; None does without.
        metrics: The metrics file, beside which the curves are drawn; None on all ranks but the first.
        keeper: Saves the checkpoints; None saves none.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        log: TrainingLog,
        stop: StopOnSignal,
        *,
        validate: Callable[[], Result] | None,
        metrics: MetricsLog | None,
        keeper: CheckpointKeeper | None,
    ):
        super().__init__()
        self._plan = plan
        self._log = log
        self._stop = stop
        self._validate = validate
        self._metrics = metrics
        self._keeper = keeper

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        position = self._plan.finished(run_context)
        # The checkpoint first: neither a full disk, nor a validation that fails or is stopped, may cost it.
        if self._keeper:
            self._keeper.save_if_due(position)
        self._stop.end_if_asked(run_context)
        row = self._log.last_row
        if self._validate:
            with self._stop.let_through():
                result = self._validate()
            row = replace(row, val_top_1=result.top_1, val_top_5=result.top_5)
            if self._metrics:
                print(result.to_line(), flush=True)
            if self._keeper and self._keeper.save_best(position, result.top_1):
                print(f"best validation top-1 so far: {result.top_1:.4f}", flush=True)
        if self._metrics:
            self._metrics.append(row)
            write_curves(self._metrics.path)
