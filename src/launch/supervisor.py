"""Keeping the ranks of a run together: they end together, whatever ends one of them, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.common.counted import counted
from src.common.stop_signals import STOP_SIGNALS
from src.launch.processes import adopt_orphans, descendants, send
from src.launch.rank_entry import LIFELINE, SCHEDULER

_TICK = 0.1  # seconds between two looks at the processes
_REPEAT = 1.0  # a signal within this time of the first is the same one: `timeout` and service managers send it twice
_SCHEDULER_SECONDS = 10.0  # for the scheduler to end after the ranks


@dataclass(frozen=True)
class Command:
    """A process that the launcher starts itself.

    Args:
        name: Number of the rank as text, or the name of the program that starts the ranks.
        words: The program and its arguments.
        environment: All its environment variables.
        folder: Its current folder.
        output: File that its output is appended to.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    output: Path


@dataclass(frozen=True)
class Failure:
    """The first process that ended as it should not have.

    Args:
        name: As in Command.
        status: Exit status, or minus the number of the signal that killed it; None if it never started.
    """

    name: str
    status: int | None


class Supervisor:
    """Starts the processes of a run and waits for them.

    Args:
        control: Folder where each rank writes a file with its process id.
        ranks: Names of the ranks of this machine.
        awaited: Names of the processes whose ends make the end of the run.
        stop_seconds: Time from asking the ranks to end, after one has failed, to killing them.
        save_seconds: Time for the other ranks to end after a forwarded signal, once the first of them has ended or
            the parent of this process has.
    """

    def __init__(
        self, control: Path, ranks: Collection[str], awaited: Collection[str], stop_seconds: float, save_seconds: float
    ) -> None:
        self.failure: Failure | None = None
        self.signal = 0
        # nohup has SIGHUP ignored, and that must stay so.
        ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._caught = [each for each in STOP_SIGNALS if not (each == signal.SIGHUP and ignores_hangup)]
        self._parent = os.getppid()
        self._control = control
        self._ranks = ranks
        self._awaited = set(awaited)
        self._started: dict[int, str] = {}
        self._ended: set[int] = set()
        self._stop_seconds = stop_seconds
        self._save_seconds = save_seconds
        self._signalled_at = 0.0
        self._is_forwarded = False
        self._kill_at = float("inf")
        self._has_killed = False

    def run(self, commands: Sequence[Command], on_tick: Callable[[], None]) -> int:
        """Start the commands and wait for the end of the run, forwarding SIGTERM, SIGINT and SIGHUP.

        The signals are ignored when it returns.

        Args:
            commands: What to start.
            on_tick: Called about ten times a second.

        Returns:
            The exit status: 0 if all went well, 128 + the number of a forwarded signal, or that of the first failure.

        Raises:
            OSError: A command cannot be started; those before it are stopped.
        """
        adopt_orphans()
        self._catch_signals()
        os.mkfifo(self._control / LIFELINE)
        lifeline = os.open(self._control / LIFELINE, os.O_RDWR)  # for writing alone it would wait for a reader
        try:
            for command in commands:
                self._start(command)
            while self._awaited and self._reap():
                self._act()
                on_tick()
                time.sleep(_TICK)
            missing = sorted(self._awaited)
            if missing and not (self.failure or self.signal):
                self.failure = Failure(missing[0], None)
        finally:
            self._clear_up()
            os.close(lifeline)
            # One that is repeated now must not change the status; Python would let go of a handler as it ends.
            for number in self._caught:
                signal.signal(number, signal.SIG_IGN)
        if self.failure:
            return _exit_status(self.failure.status)
        return 128 + self.signal if self.signal else 0

    def registered(self) -> dict[int, str]:
        """Return the ranks and the scheduler that have started, by process."""
        found = {}
        for name in (*self._ranks, SCHEDULER):
            path = self._control / name
            if path.exists():
                found[int(path.read_text())] = name
        return found

    def _start(self, command: Command) -> None:
        with command.output.open("ab") as output:
            process = subprocess.Popen(
                command.words,
                cwd=command.folder,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # else Ctrl-C in a terminal would reach the ranks besides
            )
        self._started[process.pid] = command.name
        process.returncode = 0  # it is waited for here, not by Popen

    def _reap(self) -> bool:
        """Take note of the processes that have ended; return whether any is left."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not process:
                return True
            self._ended.add(process)
            names = {**self.registered(), **self._started}
            if process in names:
                self._note_end(names[process], os.waitstatus_to_exitcode(status))

    def _note_end(self, name: str, status: int) -> None:
        if not self._awaited:
            return  # all is done: how the scheduler ends changes nothing
        self._awaited.discard(name)
        if self.signal and name in self._ranks:
            self._kill_before(self._save_seconds)
        if status and not self.failure and not self._is_asked_for(status):
            self.failure = Failure(name, status)
            self._kill_before(self._stop_seconds)
            send(signal.SIGTERM, self._living())

    def _is_asked_for(self, status: int) -> bool:
        """Tell whether a status is what the forwarded signal or our own kill leads to."""
        if self._has_killed and status == -signal.SIGKILL:
            return True
        return self.signal != 0 and status in (-self.signal, 128 + self.signal, -signal.SIGTERM, 128 + signal.SIGTERM)

    def _act(self) -> None:
        if self.signal and not self._is_forwarded:
            self._is_forwarded = True
            living = self._living()
            print(
                f"{signal.Signals(self.signal).name}: passed on to {counted(len(living), 'process', 'processes')}; "
                "waiting for the end, a second signal kills them",
                flush=True,
            )
            send(signal.SIGTERM if self.signal == signal.SIGHUP else self.signal, living)
        if self.signal and os.getppid() != self._parent:
            self._kill_before(self._save_seconds)  # nobody is left who could send a second signal
        if time.monotonic() > self._kill_at:
            if not self._has_killed:
                print("killing the processes that have not ended", flush=True)
            self._has_killed = True
            send(signal.SIGKILL, descendants())

    def _living(self) -> list[int]:
        """Return the ranks that run; while some have not started yet, all processes of the run."""
        registered = {process: name for process, name in self.registered().items() if name in self._ranks}
        if len(registered) < len(self._ranks):
            return descendants()
        return [process for process in registered if process not in self._ended]

    def _kill_before(self, seconds: float) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + seconds)

    def _clear_up(self) -> None:
        """Leave no process behind; after a good run the scheduler gets a moment to end by itself."""
        is_good = not (self._awaited or self.failure or self.signal)
        kill_at = time.monotonic() + (_SCHEDULER_SECONDS if is_good else 0)
        while self._reap():
            scheduler = [process for process, name in self.registered().items() if name == SCHEDULER]
            if self._ended.issuperset(scheduler) or self.signal or time.monotonic() >= kill_at:
                send(signal.SIGKILL, descendants())
            time.sleep(_TICK)

    def _on_signal(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if not self.signal:
            self.signal, self._signalled_at = number, now
        elif now - self._signalled_at > _REPEAT:
            self._kill_at = now

    def _catch_signals(self) -> None:
        for number in self._caught:
            signal.signal(number, self._on_signal)


def _exit_status(status: int | None) -> int:
    """Return a process's end as the exit status that a shell would give it."""
    if status is None:
        return 1
    return status if status > 0 else 128 - status
