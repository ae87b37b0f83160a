"""What a training prints and writes of its steps: loss lines, times, metrics; and what a loss gives away."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import mindspore as ms
import numpy as np

from src.checkpoints.position import Position
from src.common.progress import Progress, format_duration
from src.training.loss_scale import SMALLEST, DynamicLossScale
from src.training.metrics import MetricsLog, Row
from src.training.plan import TrainingPlan

CHANCE_TOLERANCE = 0.02  # relative distance from ln(classes) that counts as not learned


def read_loss(outputs: Any) -> np.floating:
    """Return the loss of a step, once the device has it, from what a callback is told as its outputs."""
    return (outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy().reshape(-1)[0]


class TrainingLog(ms.train.Callback):
    """Prints the loss every few steps and the time of each epoch, and stops at a loss that is NaN or infinite.

    Args:
        plan: The steps of the training.
        log_steps: Steps from one loss line to the next, 1 or more; the last step of an epoch has one too.
        progress: Counts images.
        metrics: Receives every loss line but an epoch's last, which waits for the validation; None writes nothing.
        num_classes: Number of classes, from which the loss of a network that has learned nothing follows.
        scaling: The loss scale that steps are skipped for; None for a fixed one.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        log_steps: int,
        progress: Progress,
        metrics: MetricsLog | None,
        num_classes: int,
        *,
        scaling: DynamicLossScale | None = None,
    ):
        super().__init__()
        self._plan = plan
        self._log_steps = log_steps
        self._progress = progress
        self._metrics = metrics
        self._chance_loss = math.log(num_classes)
        self._scaling = scaling
        self._skipped = (
            int(scaling.skipped.asnumpy()) if scaling else 0
        )  # steps up to the last entry, with those before a resume
        self._is_at_chance = True  # every loss of the epoch so far
        self._epoch_start = self._entry_start = time.monotonic()
        # Steps of the epoch that were done before, that the progress, the last entry include.
        self._begun = self._counted = self._entry_step = 0
        self.last_row = Row(0, 0, math.nan, math.nan, math.nan)
        self._has_waiting_row = False

    def on_train_epoch_begin(self, run_context: ms.train.RunContext) -> None:
        self._epoch_start = self._entry_start = time.monotonic()
        self._begun = self._counted = self._entry_step = (
            self._plan.steps_per_epoch - run_context.original_args().batch_num
        )
        self._is_at_chance = self._chance_loss > 0

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        position = self._plan.position(run_context)
        is_last = self._plan.ends_epoch(position)
        if is_last or position.step % self._log_steps == 0:
            self._log(position, run_context.original_args().net_outputs)
            if self._metrics and not is_last:
                self._metrics.append(self.last_row)
        # The loss waits for the device, so the count comes after it.
        done = (position.step - self._counted) * self._plan.images_per_step
        self._counted = position.step
        loss = f", loss {self.last_row.loss:.4f}" if self.last_row.step else ""
        self._progress.update(done, f"epoch {position.epoch + 1}{loss}")

    def on_train_epoch_end(self, run_context: ms.train.RunContext) -> None:
        parameters = run_context.original_args()
        seconds = time.monotonic() - self._epoch_start
        per_step = seconds / max(self._counted - self._begun, 1)
        left = len(self._plan.schedule) - parameters.cur_epoch_num * self._plan.steps_per_epoch
        self._progress.clear()
        print(f"epoch time: {1000 * seconds:.3f} ms, per step time: {1000 * per_step:.3f} ms", flush=True)
        rate = self._plan.images_per_step / per_step
        print(f"{rate:.1f} images/s, ETA {format_duration(max(left, 0) * per_step)}", flush=True)
        if self._is_at_chance:
            print(
                f"warning: the loss stayed at {self._chance_loss:.2f}, that of guessing, for all of epoch "
                f"{parameters.cur_epoch_num}: nothing is learned; check the labels and the learning rate",
                file=sys.stderr,
                flush=True,
            )

    def note(self, run_context: ms.train.RunContext) -> None:
        """Log the step that has just ended where that has not been done; `flush` writes its metrics.

        Raises:
            ValueError: If its loss is NaN or infinite.
        """
        position = self._plan.position(run_context)
        if self.last_row.step != position.global_step:
            self._log(position, run_context.original_args().net_outputs)
            self._has_waiting_row = True

    def flush(self, run_context: ms.train.RunContext) -> None:
        """Log the step that has just ended, and write its metrics, where that has not been done or waits."""
        self.note(run_context)
        is_last = self._plan.ends_epoch(self._plan.position(run_context))
        if self._metrics and (self._has_waiting_row or is_last):
            self._metrics.append(self.last_row)
        self._has_waiting_row = False

    def _log(self, position: Position, outputs: Any) -> None:
        loss = read_loss(outputs)
        now = time.monotonic()
        steps = position.step - self._entry_step
        rate = steps * self._plan.images_per_step / max(now - self._entry_start, 1e-9)
        self._entry_start, self._entry_step = now, position.step
        lr = float(self._plan.schedule[position.global_step - 1])
        self.last_row = Row(position.epoch + 1, position.global_step, lr, float(loss), rate)
        self._is_at_chance &= math.isclose(loss, self._chance_loss, rel_tol=CHANCE_TOLERANCE)
        self._progress.clear()
        print(f"epoch: {position.epoch + 1} step: {position.step}, loss is {loss!s}", flush=True)
        if not np.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at epoch {position.epoch + 1}, step {position.step}, learning rate {lr:g}: "
                f"training has diverged; the last checkpoint is kept; try a lower --lr_max or a longer warm-up"
            )
        if self._scaling is not None:
            self._log_skipped(self._scaling, steps)

    def _log_skipped(self, scaling: DynamicLossScale, steps: int) -> None:
        """Tell how many of the last steps overflowed; raise a ValueError if that is all of them, for another reason."""
        before, self._skipped = self._skipped, int(scaling.skipped.asnumpy())
        skipped, value = self._skipped - before, float(scaling.value.asnumpy())
        if not skipped:
            return
        print(
            f"loss scale {value:g}: {skipped} of the last {steps} steps overflowed and had no effect on the weights, "
            f"{self._skipped} in all",
            flush=True,
        )
        if skipped == steps and value <= SMALLEST:
            raise ValueError(
                f"the gradients of all {steps} last steps are NaN or infinite, and the loss scale is {value:g} by now: "
                "training has diverged; the last checkpoint is kept; try a lower --lr_max or a longer warm-up"
            )
