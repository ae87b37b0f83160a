"""SIGTERM, SIGINT and SIGHUP while training: the step in hand ends, and a checkpoint is saved, before the process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import mindspore as ms
import numpy as np

from src.checkpoints.keeper import CheckpointKeeper
from src.common.stop_signals import HANGUP, STOP_SIGNALS
from src.common.system_errors import describe
from src.model_utils.command import Interrupted
from src.model_utils.local_adapter import Group, gather_from_ranks, sum_over_ranks
from src.training.batch_norm import RankStatistics
from src.training.interrupts import InterruptKeeper
from src.training.log import TrainingLog
from src.training.plan import TrainingPlan


class StopSignal:
    """Notes a signal that asks the process to stop, for the one who looks; use it as a context manager.

    It is passive until `catch` is called, and leaves the handlers as they were. Python handles signals in the main
    thread only, so in another thread it does nothing.

    Attributes:
        received: The signal that came first, None before one has come.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        # nohup has SIGHUP ignored, and that must stay so.
        self._before = {n: handler for n, handler in before.items() if (n, handler) != (HANGUP, signal.SIG_IGN)}
        self._interrupts = InterruptKeeper()

    def __enter__(self) -> StopSignal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupts.end()
        for number, handler in self._before.items():
            # None is a handler that was not set from Python and cannot be set from here.
            self._handle(number, signal.SIG_DFL if handler is None else handler)

    def catch(self) -> None:
        """Note the signals from here on; also where another library has put its own handler in the meantime."""
        for number in self._before:
            self._handle(number, self._note)
        if threading.current_thread() is threading.main_thread():
            self._interrupts.keep()

    def let_through(self) -> None:
        """Let the signals end the process at once: while it has nothing to lose, or a library call takes minutes."""
        self._interrupts.let_go()
        for number in self._before:
            self._handle(number, signal.SIG_DFL)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
        # Unlike print, this may be done in the middle of any other output. The terminal may be gone.
        with contextlib.suppress(OSError):
            os.write(2, f"{signal.Signals(number).name} received: stopping after this step\n".encode())

    @staticmethod
    def _handle(number: signal.Signals, handler: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, handler)  # type: ignore[arg-type]


class StopOnSignal(ms.train.Callback):
    """Ends training after the step in which any rank received a signal: all ranks after the same one.

    Args:
        stop: Takes note of the signals.
        group: The processes that train together.
        log: The training log, which stands before this in the list of callbacks.
        keeper: Saves the checkpoint; None saves none.
        plan: The steps of the training.
        statistics: Those of batch norm on each rank, which are averaged before they are saved.
    """

    def __init__(
        self,
        stop: StopSignal,
        group: Group,
        log: TrainingLog,
        keeper: CheckpointKeeper | None,
        plan: TrainingPlan,
        *,
        statistics: RankStatistics,
    ):
        super().__init__()
        self._stop = stop
        self._group = group
        self._log = log
        self._keeper = keeper
        self._plan = plan
        self._statistics = statistics
        self._is_compiled = False
        self._finished: ms.train.RunContext | None = None

    def on_train_step_begin(self, run_context: ms.train.RunContext) -> None:
        # A library call cannot be interrupted from Python, and the first step compiles: nothing is lost yet.
        if self._is_compiled:
            self._stop.catch()
        else:
            self._stop.let_through()

    def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
        self._stop.catch()
        self._is_compiled = True
        self._finished = run_context
        self.end_if_asked(run_context)

    def end_if_asked(self, run_context: ms.train.RunContext) -> None:
        """Save a checkpoint and raise Interrupted if a rank has received a signal; all ranks call this together."""
        number = self._received()
        if not number:
            return
        self._log.note(run_context)  # raises where the loss is NaN: those weights are not worth a checkpoint
        self._statistics.average()
        position = self._plan.finished(run_context)
        path = self._keeper.save(position) if self._keeper else None
        self._log.flush(run_context)  # after the checkpoint, which a disk too full for this line may not cost
        sum_over_ranks(np.zeros(1), self._group)  # nobody ends before the first rank has saved: launchers kill the rest
        where = f"epoch {position.epoch + 1}, step {position.step}" if position.step else f"epoch {position.epoch}"
        saved = f"; wrote {path}, --resume=auto goes on from there" if path else ""
        raise Interrupted(f"stopped by {signal.Signals(number).name} after {where}{saved}", number)

    def save_finished(self) -> None:
        """Save the last finished step where the images of the next one cannot be read, if this process trains alone.

        Of several ranks the others may be in a step that never ends.
        """
        if self._finished is None or self._keeper is None or self._group.size > 1:
            return
        with contextlib.suppress(ValueError):  # the loss is NaN
            self._log.note(self._finished)
            try:
                path = self._keeper.save(self._plan.finished(self._finished))
                print(f"what has been trained so far is in {path}", flush=True)
                self._log.flush(self._finished)
            except OSError as error:  # the disk that has gone may be the same one
                print(
                    f"warning: what was trained since the last checkpoint is lost: {describe(error)}", file=sys.stderr
                )

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
