"""Signals that ask a training to stop: noted in every state of the terminal, and the checkpoint comes first."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import mindspore as ms
import numpy as np
import pytest

from src.common.progress import Progress
from src.common.stop_signals import STOP_SIGNALS
from src.model_utils.command import Interrupted
from src.model_utils.local_adapter import ALONE
from src.training.log import TrainingLog
from src.training.plan import TrainingPlan
from src.training.stop import StopOnSignal, StopSignal
from tests.helpers.project import ROOT

WAIT = 10  # seconds at most


@contextmanager
def broken_stderr():
    """Make descriptor 2 a pipe that nobody reads."""
    before = os.dup(2)
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(writing)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_when_nobody_reads_stderr_any_more(number):
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with broken_stderr(), StopSignal() as stop:
        stop.catch()
        os.kill(os.getpid(), number)
        assert stop.received == number
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_a_hangup_that_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            for state in (stop.catch, stop.let_through):
                state()
                os.kill(os.getpid(), signal.SIGHUP)
                assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def native_handler() -> bytes:
    action = ctypes.create_string_buffer(512)
    ctypes.CDLL(None).sigaction(int(signal.SIGINT), None, action)
    return action.raw[: ctypes.sizeof(ctypes.c_void_p)]


def replace_native_handler() -> None:
    """Ignore SIGINT behind Python's back, as MindSpore puts its own handler in place in each step."""
    assert ctypes.CDLL(None).sigaction(int(signal.SIGINT), ctypes.create_string_buffer(b"\1", 512), None) == 0


def test_an_interrupt_stays_one_where_a_library_has_replaced_the_handler():
    with StopSignal() as stop:
        for _ in range(20):
            stop.catch()
            ours = native_handler()
            replace_native_handler()
            end = time.monotonic() + WAIT
            while native_handler() != ours:
                assert time.monotonic() < end
                time.sleep(0.001)
            stop.received = None
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received == signal.SIGINT
        stop.let_through()
        replace_native_handler()
        time.sleep(0.05)
        assert native_handler() != ours  # nothing is caught while signals are let through
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert threading.active_count() == 1 or not any("_look" in thread.name for thread in threading.enumerate())


def test_a_handler_is_put_back_sooner_than_a_person_could_press_ctrl_c():
    tries, soon = 100, 0
    with StopSignal() as stop:
        for _ in range(tries):
            stop.catch()
            ours = native_handler()
            time.sleep(0.001)  # a step does that before MindSpore sets its own
            replace_native_handler()
            time.sleep(0.002)
            soon += native_handler() == ours
            time.sleep(0.005)
    assert soon > tries / 2  # a look every ten milliseconds finds a fifth


class Written:
    """Stands for the files and the statistics of a training, and notes the order in which they are made."""

    path = "metrics.csv"

    def __init__(self, error: OSError | None = None):
        self.names: list[str] = []
        self._error = error

    def append(self, row) -> None:
        self.names.append("metrics")
        if self._error:
            raise self._error

    def average(self) -> None:
        self.names.append("statistics")

    def save(self, position) -> str:
        self.names.append("checkpoint")
        return "a.ckpt"


class Parameters(dict):
    """What MindSpore tells its callbacks."""

    __getattr__ = dict.__getitem__


def stop_after_a_step(written: Written, loss: float) -> None:
    """Send a signal in the first step of a training of four, and let it end."""
    plan = TrainingPlan(np.full(4, 0.1, np.float32), 2, 8)
    with Progress(32, "train", stream=io.StringIO()) as progress, StopSignal() as stop:
        log = TrainingLog(plan, 10, progress, written, 3)
        callback = StopOnSignal(stop, ALONE, log, written, plan, statistics=written)
        parameters = Parameters(batch_num=2, cur_step_num=1, cur_epoch_num=1, net_outputs=ms.Tensor(np.float32(loss)))
        context = ms.train.RunContext(parameters)
        log.on_train_epoch_begin(context)
        callback.on_train_step_begin(context)
        stop.catch()
        os.kill(os.getpid(), signal.SIGTERM)
        log.on_train_step_end(context)
        callback.on_train_step_end(context)


def test_the_checkpoint_is_saved_with_the_mean_statistics_before_anything_else_is_written():
    written = Written()
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM after epoch 1, step 1; wrote a\.ckpt"):
        stop_after_a_step(written, 1.5)
    assert written.names == ["statistics", "checkpoint", "metrics"]


def test_a_disk_too_full_for_the_metrics_does_not_cost_the_checkpoint():
    written = Written(OSError(28, "No space left on device", "metrics.csv"))
    with pytest.raises(OSError, match="No space left"):
        stop_after_a_step(written, 1.5)
    assert written.names == ["statistics", "checkpoint", "metrics"]


def test_weights_of_a_loss_that_is_no_number_are_not_saved():
    written = Written()
    with pytest.raises(ValueError, match="training has diverged"):
        stop_after_a_step(written, np.nan)
    assert written.names == []


def test_signals_before_a_training_end_the_process_at_once(tmp_path):
    code = (
        "import sys, time; from src.training.stop import StopSignal\n"
        "with StopSignal() as stop:\n    stop.let_through(); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGHUP
