"""What happens while training: dropout masks, validation, checkpoints, the end on a signal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import mindspore as ms
import numpy as np

from src.checkpoints.keeper import CheckpointKeeper
from src.checkpoints.weights import Position
from src.cpu.compile_cache import CompileCache
from src.evaluation.confusion import write_curves
from src.evaluation.counting import Result
from src.model_utils.command import Interrupted
from src.model_utils.local_adapter import Group, gather_from_ranks, sum_over_ranks
from src.training.dropout import ReplayableDropout
from src.training.log import TrainingLog, current_position
from src.training.metrics import MetricsLog
from src.training.stop import StopSignal


class DropoutMasks(ms.train.Callback):
    """Draws the dropout mask of each step.

    Args:
        dropout: The network's dropout.
        steps_per_epoch: Steps of a whole epoch.
    """

    def __init__(self, dropout: ReplayableDropout, steps_per_epoch: int):
        super().__init__()
        self._dropout = dropout
        self._steps_per_epoch = steps_per_epoch

    def on_train_step_begin(self, run_context: ms.train.RunContext) -> None:
        position = current_position(run_context.original_args(), self._steps_per_epoch)
        self._dropout.draw(position.global_step - 1)


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


class StopOnSignal(ms.train.Callback):
    """Ends training after the step in which any rank received a signal: all ranks after the same one.

    Args:
        stop: Takes note of the signals.
        group: The processes that train together.
        log: The training log, which stands before this in the list of callbacks.
        keeper: Saves the checkpoint; None saves none.
        steps_per_epoch: Steps of a whole epoch.
    """

    def __init__(
        self, stop: StopSignal, group: Group, log: TrainingLog, keeper: CheckpointKeeper | None, steps_per_epoch: int
    ):
        super().__init__()
        self._stop = stop
        self._group = group
        self._log = log
        self._keeper = keeper
        self._steps_per_epoch = steps_per_epoch
        self._is_compiled = False

    def on_train_step_begin(self, run_context: ms.train.RunContext) -> None:
        # A library call cannot be interrupted from Python, and the first step compiles: nothing is lost yet.
        if self._is_compiled:
            self._stop.catch()
        else:
            self._stop.let_through()

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        self._stop.catch()
        self._is_compiled = True
        self.end_if_asked(run_context)

    def end_if_asked(self, run_context: ms.train.RunContext) -> None:
        """Save a checkpoint and raise Interrupted if a rank has received a signal; all ranks call this together."""
        number = self._received()
        if not number:
            return
        self._log.flush(run_context)
        position = current_position(run_context.original_args(), self._steps_per_epoch)
        if position.step == self._steps_per_epoch:
            position = replace(position, epoch=position.epoch + 1, step=0)
        path = self._keeper.save(position) if self._keeper else None
        sum_over_ranks(np.zeros(1), self._group)  # nobody ends before the first rank has saved: launchers kill the rest
        where = f"epoch {position.epoch + 1}, step {position.step}" if position.step else f"epoch {position.epoch}"
        saved = f"; wrote {path}, --resume=auto goes on from there" if path else ""
        raise Interrupted(f"stopped by {signal.Signals(number).name} after {where}{saved}", number)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Let signals end the process at once while the block runs, which has nothing to lose."""
        self._stop.let_through()
        try:
            yield
        finally:
            self._stop.catch()

    def _received(self) -> int:
        """Return the number of the signal that any rank has received, 0 for none."""
        own = np.array(int(self._stop.received or 0), np.int64)
        return int(gather_from_ranks(own, self._group).max())


class EpochEnd(ms.train.Callback):
    """After each epoch: saves checkpoints, validates, and writes metrics and curves.

    Args:
        log: The training log, which stands before this in the list of callbacks.
        stop: Ends training on a signal; stands before this too.
        steps_per_epoch: Steps of a whole epoch.
        validate: Evaluates the network, on all ranks together; None does without.
        metrics: The metrics file, beside which the curves are drawn; None on all ranks but the first.
        keeper: Saves the checkpoints; None saves none.
    """

    def __init__(
        self,
        log: TrainingLog,
        stop: StopOnSignal,
        steps_per_epoch: int,
        validate: Callable[[], Result] | None,
        metrics: MetricsLog | None,
        keeper: CheckpointKeeper | None,
    ):
        super().__init__()
        self._log = log
        self._stop = stop
        self._steps_per_epoch = steps_per_epoch
        self._validate = validate
        self._metrics = metrics
        self._keeper = keeper

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        position = Position(run_context.original_args().cur_epoch_num, 0, self._steps_per_epoch)
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
