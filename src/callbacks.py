"""What happens while training: log lines, metrics, validation, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.checkpoint import Position, checkpoint_name, numbered_checkpoints, save_checkpoint
from src.dropout import ReplayableDropout
from src.evaluator import Result
from src.metrics_log import MetricsLog, Row
from src.progress import Progress, format_duration
from src.report import write_curves

METRICS = "metrics.csv"
BEST_CHECKPOINT = "Xception-best.ckpt"


def current_position(parameters: Any, steps_per_epoch: int) -> Position:
    """Tell how far training is, from what Model.train hands to a callback at the end of a step.

    Args:
        parameters: RunContext.original_args(); its steps are those of the data set at hand, which may lack the first
            batches of the epoch.
        steps_per_epoch: Steps of a whole epoch.

    Returns:
        The position, with the step that has just ended counted into its epoch (1 to steps_per_epoch).
    """
    skipped = steps_per_epoch - parameters.batch_num
    step = (parameters.cur_step_num - 1) % parameters.batch_num + 1 + skipped
    return Position(parameters.cur_epoch_num - 1, step, steps_per_epoch)


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


class TrainingLog(ms.train.Callback):
    """Prints the loss every few steps and the time of each epoch, and stops at a loss that is NaN or infinite.

    Args:
        schedule: Float (all steps,), the learning rate of each step.
        steps_per_epoch: Steps of a whole epoch.
        images_per_step: Images of a step, over all devices.
        log_steps: Steps from one loss line to the next, 1 or more; the last step of an epoch has one too.
        progress: Counts images.
        metrics: Receives every loss line but an epoch's last, which waits for the validation; None writes nothing.
    """

    def __init__(
        self,
        schedule: np.ndarray,
        steps_per_epoch: int,
        images_per_step: int,
        log_steps: int,
        progress: Progress,
        metrics: MetricsLog | None,
    ):
        super().__init__()
        self._schedule = schedule
        self._steps_per_epoch = steps_per_epoch
        self._images_per_step = images_per_step
        self._log_steps = log_steps
        self._progress = progress
        self._metrics = metrics
        self._epoch_start = self._entry_start = time.monotonic()
        self._counted = self._entry_step = 0  # steps of the epoch that the progress, the last entry include
        self.last_row = Row(0, 0, math.nan, math.nan, math.nan)

    def on_train_epoch_begin(self, run_context: ms.train.RunContext) -> None:
        self._epoch_start = self._entry_start = time.monotonic()
        self._counted = self._entry_step = self._steps_per_epoch - run_context.original_args().batch_num

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        parameters = run_context.original_args()
        position = current_position(parameters, self._steps_per_epoch)
        is_last = position.step == self._steps_per_epoch
        if is_last or position.step % self._log_steps == 0:
            self._log(position, parameters.net_outputs)
            if self._metrics and not is_last:
                self._metrics.append(self.last_row)
        # The loss waits for the device, so the count comes after it.
        done = (position.step - self._counted) * self._images_per_step
        self._counted = position.step
        loss = f", loss {self.last_row.loss:.4f}" if self.last_row.step else ""
        self._progress.update(done, f"epoch {position.epoch + 1}{loss}")

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        parameters = run_context.original_args()
        seconds = time.monotonic() - self._epoch_start
        per_step = seconds / parameters.batch_num
        left = len(self._schedule) - parameters.cur_epoch_num * self._steps_per_epoch
        self._progress.clear()
        print(f"epoch time: {1000 * seconds:.3f} ms, per step time: {1000 * per_step:.3f} ms", flush=True)
        print(f"{self._images_per_step / per_step:.1f} images/s, ETA {format_duration(left * per_step)}", flush=True)

    def _log(self, position: Position, outputs: Any) -> None:
        loss = (outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy().reshape(-1)[0]
        now = time.monotonic()
        images = (position.step - self._entry_step) * self._images_per_step
        rate = images / max(now - self._entry_start, 1e-9)
        self._entry_start, self._entry_step = now, position.step
        lr = float(self._schedule[position.global_step - 1])
        self.last_row = Row(position.epoch + 1, position.global_step, lr, float(loss), rate)
        self._progress.clear()
        print(f"epoch: {position.epoch + 1} step: {position.step}, loss is {loss!s}", flush=True)
        if not np.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at epoch {position.epoch + 1}, step {position.step}, learning rate {lr:g}: "
                f"training has diverged; the last checkpoint is kept; try a lower --lr_max or a longer warm-up"
            )


class CheckpointKeeper:
    """Saves the checkpoints of a training, keeps the newest ones and the best.

    Args:
        folder: Where the files go.
        rank: Rank of this process, for the names.
        network: The network.
        optimizer: Its optimizer.
        every: Epochs from one checkpoint to the next, 1 or more.
        keep: Number of newest checkpoints to keep, 1 or more.
        epochs: Epochs of the whole training; the last one is saved in any case.
    """

    def __init__(
        self, folder: Path, rank: int, network: nn.Cell, optimizer: nn.Optimizer, every: int, keep: int, epochs: int
    ):
        self._folder = folder
        self._rank = rank
        self._state = (network, optimizer)
        self._every = every
        self._keep = keep
        self._epochs = epochs

    def save(self, position: Position, is_best: bool) -> None:
        """Save what is due at the end of an epoch.

        Args:
            position: The position, at the end of an epoch.
            is_best: Whether the validation was the best so far.
        """
        if position.epoch % self._every == 0 or position.epoch == self._epochs:
            save_checkpoint(self._folder / checkpoint_name(self._rank, position), *self._state, position)
            # Only now may an old one go: a failed save leaves all there were.
            for path in numbered_checkpoints(self._folder, self._rank)[: -self._keep]:
                path.unlink(missing_ok=True)
        if is_best:
            save_checkpoint(self._folder / BEST_CHECKPOINT, *self._state, position)


class EpochEnd(ms.train.Callback):
    """After each epoch: validates, writes metrics and curves, and saves checkpoints.

    Args:
        log: The training log, which stands before this in the list of callbacks.
        metrics: The metrics file; the curves are drawn beside it.
        start: Where this training starts; carries the best validation so far.
        validate: Evaluates the network; None does without.
        keeper: Saves the checkpoints; None saves none.
    """

    def __init__(
        self,
        log: TrainingLog,
        metrics: MetricsLog,
        start: Position,
        validate: Callable[[], Result] | None,
        keeper: CheckpointKeeper | None,
    ):
        super().__init__()
        self._log = log
        self._metrics = metrics
        self._position = start
        self._validate = validate
        self._keeper = keeper

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        epoch = run_context.original_args().cur_epoch_num
        best = self._position.best_top_1
        row = self._log.last_row
        if self._validate:
            result = self._validate()
            print(result.to_line(), flush=True)
            row = replace(row, val_top_1=result.top_1, val_top_5=result.top_5)
            if result.top_1 > best:
                print(f"best validation top-1 so far: {result.top_1:.4f}", flush=True)
        top_1 = -1.0 if row.val_top_1 is None else row.val_top_1
        self._position = replace(self._position, epoch=epoch, step=0, best_top_1=max(top_1, best))
        # The checkpoint first: it is what a full disk must not cost.
        if self._keeper:
            self._keeper.save(self._position, top_1 > best)
        self._metrics.append(row)
        write_curves(self._metrics.path)
