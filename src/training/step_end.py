"""What happens after steps inside an epoch: checkpoints every few of them, and the end after the last one."""

from __future__ import annotations

import mindspore as ms

from src.checkpoints.keeper import CheckpointKeeper
from src.training.batch_norm import RankStatistics
from src.training.log import TrainingLog
from src.training.plan import TrainingPlan


class StepEnd(ms.train.Callback):
    """Saves a checkpoint every few steps, and ends training after the last one, which may lie inside an epoch.

    Args:
        plan: The steps of the training.
        every: Steps from one checkpoint to the next, 0 for none but those of the epochs; the same on all ranks.
        log: The training log, which stands before this in the list of callbacks.
        statistics: Those of batch norm on each rank, which are averaged before they are saved.
        keeper: Saves the checkpoints; None saves none.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        every: int,
        log: TrainingLog,
        statistics: RankStatistics,
        keeper: CheckpointKeeper | None,
    ):
        super().__init__()
        self._plan = plan
        self._every = every
        self._log = log
        self._statistics = statistics
        self._keeper = keeper

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        position = self._plan.finished(run_context)
        if self._plan.is_done(position):
            run_context.request_stop()
        elif self._every and position.step and position.global_step % self._every == 0:
            self._log.note(run_context)  # raises where the loss is NaN: those weights are not worth a checkpoint
            self._statistics.average()
            if self._keeper:
                self._keeper.save(position)
            self._log.flush(run_context)
