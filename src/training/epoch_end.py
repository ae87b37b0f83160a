"""What happens after each epoch: checkpoints, metrics, validation and curves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import mindspore as ms

from src.checkpoints.keeper import CheckpointKeeper
from src.checkpoints.position import Position
from src.evaluation.counting import Result
from src.model_utils.config import Config
from src.training.batch_norm import RankStatistics
from src.training.chance import ChanceWatch
from src.training.early_stopping import EarlyStopping
from src.training.log import TrainingLog
from src.training.metrics import MetricsLog, Row, write_curves
from src.training.plan import TrainingPlan
from src.training.stop import StopOnSignal
from src.training.validation import is_last, validates_after


@dataclass(frozen=True)
class Validation:
    """The validation at the end of an epoch, and what it leaves: a row, and the best checkpoint.

    Args:
        evaluate: Evaluates the network, on all ranks together.
        metrics: The metrics file; None on all ranks but the first.
        keeper: Saves the checkpoints; None saves none.
        config: With `epoch_size`, `eval_interval` and `best_metric`.
        stopping: Counts the validations since the best one.
    """

    evaluate: Callable[[], Result]
    metrics: MetricsLog | None
    keeper: CheckpointKeeper | None
    config: Config
    stopping: EarlyStopping
    _chance: ChanceWatch = field(default_factory=ChanceWatch)

    def run(self, position: Position, row: Row) -> None:
        """Validate; all ranks call this together.

        Args:
            position: The end of an epoch.
            row: The row of its last step, which the validation is put into.
        """
        result = self.evaluate()
        if self.metrics:
            print(result.to_line(), flush=True)
            if warning := self._chance.warning(result, is_last=is_last(self.config, position)):
                print(warning, file=sys.stderr, flush=True)
        row = replace(row, val_top_1=result.top_1, val_top_5=result.top_5, val_loss=result.loss)
        metric = self.config.best_metric
        figure = getattr(result, metric)
        if self.keeper and self.keeper.save_best(position, figure):
            print(f"best validation {metric.replace('_', '-')} so far: {figure:.4f}", flush=True)
        self.stopping.add(row)
        # The row last: what it tells has been kept by then, and a kill before it has the validation made up.
        if self.metrics:
            self.metrics.add_validation(row)
            write_curves(self.metrics.path)

    def is_due(self, position: Position) -> bool:
        """Tell whether an epoch that has ended is validated."""
        return validates_after(self.config, position)

    def make_up(self, position: Position, lr: float) -> None:
        """Validate where that has not been done, before training goes on; all ranks call this together.

        Args:
            position: The end of an epoch.
            lr: Learning rate of its last step.
        """
        if self.metrics:
            print(f"epoch {position.last_epoch} has no validation here: it is validated first", flush=True)
        unknown = float("nan")
        self.run(position, Row(position.last_epoch, position.global_step, lr, unknown, unknown))


class EpochEnd(ms.train.Callback):
    """After each epoch: averages statistics over the ranks, saves, validates, and writes metrics and curves.

    Args:
        plan: The steps of the training.
        log: The training log, which stands before this in the list of callbacks.
        stop: Ends training on a signal; stands before this too.
        statistics: Those of batch norm on each rank.
        validation: What validates; None does without.
        metrics: The metrics file, beside which the curves are drawn; None on all ranks but the first.
        keeper: Saves the checkpoints; None saves none.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        log: TrainingLog,
        stop: StopOnSignal,
        statistics: RankStatistics,
        *,
        validation: Validation | None,
        metrics: MetricsLog | None,
        keeper: CheckpointKeeper | None,
    ):
        super().__init__()
        self._plan = plan
        self._log = log
        self._stop = stop
        self._statistics = statistics
        self._validation = validation
        self._metrics = metrics
        self._keeper = keeper
        self._has_ended = False  # before the last epoch

    def is_over(self) -> bool:
        """Tell whether training has ended before its last epoch."""
        return self._has_ended

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        position = self._plan.finished(run_context)  # inside an epoch where training ends there
        row = self._log.last_row
        self._statistics.average()
        # The row is there whenever the checkpoint is, and both before a validation, which may fail or be stopped.
        try:
            if self._metrics:
                self._metrics.append(row)
        finally:  # a row that cannot be written costs no checkpoint
            if self._keeper:
                self._keeper.save_if_due(position)
        self._stop.end_if_asked(run_context)
        if self._validation and self._validation.is_due(position):
            with self._stop.let_through():
                self._validation.run(position, row)
            self._end_early(run_context, position, self._validation)
        elif self._metrics:
            write_curves(self._metrics.path)

    def _end_early(self, run_context: ms.train.RunContext, position: Position, validation: Validation) -> None:
        """End training where validations do not improve any more, on all ranks after the same epoch."""
        self._has_ended = validation.stopping.is_over()
        if not self._has_ended or is_last(validation.config, position):
            return
        if self._metrics:
            print(f"early stopping after epoch {position.epoch}: {validation.stopping.reason()}", flush=True)
        if self._keeper:
            self._keeper.save(position)
        run_context.request_stop()
