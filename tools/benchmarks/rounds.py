"""Contestants, each in processes of its own that stay warm, and rounds that they run in turn."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

TOLERANCE = 1e-3  # of the largest value
_POLL_SECONDS = 0.5
_END_SECONDS = 60.0

Values = dict[str, list[float]]


@dataclass(frozen=True)
class Entry:
    """Something to be measured.

    Args:
        name: Its name among those that it is compared with.
        work: Name of the work.
        root: Folder of the project's checkout that does it.
        options: Options for every process of it.
        images: Images in a pass, over all ranks.
        passes: Passes over them in a round.
        ranks: Number of processes.
        device: "auto", "Ascend", "GPU" or "CPU".
    """

    name: str
    work: str
    root: Path
    options: Sequence[str]
    images: int
    passes: int = 1
    ranks: int = 1
    device: str = "auto"

    def command(self, port: int = 0) -> list[str]:
        """Return the command that starts it; `port` is where it is waited for."""
        door = "tools/benchmarks/worker.py"
        words = [f"--task={self.work}", f"--images={self.images}", f"--passes={self.passes}"]
        words += [f"--port={port}", f"--ranks={self.ranks}", *self.options]
        if self.ranks == 1:
            return [sys.executable, str(self.root / door), f"--device_target={self.device}", *words]
        launch = [sys.executable, str(self.root / "scripts/launch.py"), f"--python={sys.executable}", f"--door={door}"]
        launch += ["--msrun", f"--device_target={self.device}", f"--device_num={self.ranks}", "--log=rank{rank}.log"]
        return [*launch, "--", *words]


@dataclass(frozen=True)
class Measured:
    """What an entry's rounds have shown.

    Args:
        entry: The entry.
        speeds: Images/s of every round.
        start_seconds: From the start of a process to its first round, the longest of all ranks.
        compile_seconds: How much longer the first round, which is not among the speeds, took than the others.
        peak_memory: Bytes, of all ranks together.
        result: What the first rank's rounds came to.
        problems: What is wrong with the results, a line for each.
    """

    entry: Entry
    speeds: list[float]
    start_seconds: float
    compile_seconds: float
    peak_memory: int
    result: Values
    problems: list[str]


class Contestant:
    """A running entry; use it as a context manager.

    Args:
        entry: What to run.
        folder: Folder for its logs, its current folder.
    """

    def __init__(self, entry: Entry, folder: Path):
        self.entry = entry
        self._folder = folder
        self._log = folder / "output.log"
        self._streams: list[Any] = []
        self.rounds: list[list[dict[str, Any]]] = []  # of every round the answers of the ranks

    def __enter__(self) -> Contestant:
        self._folder.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as server, self._log.open("wb") as log:
            command = self.entry.command(server.getsockname()[1])
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
            server.settimeout(_POLL_SECONDS)
            try:
                while len(self._streams) < self.entry.ranks:
                    self._accept(server)
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def run(self) -> None:
        """Run one round.

        Raises:
            ValueError: If a process of it ends; with the last line of what it said.
        """
        for stream in self._streams:
            stream.write("run\n")
            stream.flush()
        lines = [stream.readline() for stream in self._streams]
        if not all(lines):
            self._raise()
        self.rounds.append([json.loads(line) for line in lines])

    def measured(self) -> Measured:
        """Return what the rounds so far have shown; the first one was the warm-up."""
        seconds = [max(answer["seconds"] for answer in answers) for answers in self.rounds]
        last, first = self.rounds[-1], self.rounds[0][0]["result"]
        problems = [
            f"{self.entry.name}, round {number}: {problem}"
            for number, answers in enumerate(self.rounds)
            for problem in self._problems(answers)
        ]
        return Measured(
            self.entry,
            [self.entry.images * self.entry.passes / each for each in seconds[1:]],
            max(answer["start"] for answer in last),
            max(seconds[0] - statistics.median(seconds[1:]), 0.0),
            sum(answer["peak_memory"] for answer in last),
            first,
            problems,
        )

    def _problems(self, answers: Sequence[dict[str, Any]]) -> list[str]:
        """Return what is wrong with a round: it differs from the first one, or the ranks' weights from each other."""
        found = [
            difference(answer["result"], own["result"]) for answer, own in zip(answers, self.rounds[0], strict=True)
        ]
        found += [
            difference({"weights": each["result"]["weights"]}, {"weights": answers[0]["result"]["weights"]})
            for each in answers[1:]
        ]
        return [problem for problem in found if problem]

    def _accept(self, server: socket.socket) -> None:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            if self._process.poll() is not None:
                self._raise()
            return
        connection.settimeout(None)
        with connection:
            self._streams.append(connection.makefile("rw"))

    def _raise(self) -> None:
        self._process.wait(_END_SECONDS)
        lines = self._log.read_text(errors="replace").split("\n")
        said = next((line for line in lines if line.startswith("error: ")), " ".join(lines[-2:]))
        raise ValueError(f"{self.entry.work} by {self.entry.name} has failed: {said.removeprefix('error: ')}")

    def _stop(self) -> None:
        """End the processes, which do so when their connection is closed."""
        for stream in self._streams:
            stream.close()
        if not self._streams:
            self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def hold(entries: Sequence[Entry], rounds: int, folder: Path, on_round: Callable[[], None]) -> list[Measured]:
    """Measure entries against each other: A, B, A, B and so on, after a warm-up round of each.

    Args:
        entries: One or more.
        rounds: Rounds of each, 1 or more.
        folder: Folder for logs.
        on_round: Called after each round.

    Returns:
        What was measured, in the order of the entries.

    Raises:
        ValueError: If one of them fails.
    """
    with ExitStack() as stack:
        contestants = []
        for number, entry in enumerate(entries):
            contestants.append(stack.enter_context(Contestant(entry, folder / str(number))))
            contestants[-1].run()
            on_round()
        for _ in range(rounds):
            for contestant in contestants:
                contestant.run()
                on_round()
        return [contestant.measured() for contestant in contestants]


def difference(found: Values, expected: Values) -> str:
    """Tell how results differ; an empty text if they agree."""
    for name, values in expected.items():
        left, right = np.asarray(found.get(name, []), float), np.asarray(values, float)
        if left.shape != right.shape or not right.size:
            return f"{left.size} {name} instead of {right.size}"
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return f"{name} that are NaN or infinite"
        largest = float(np.abs(left - right).max() / max(np.abs(right).max(), 1e-12))
        if largest > TOLERANCE:
            return f"{name} differ by {largest:.2g} of the largest, more than {TOLERANCE:g}"
    return ""


def run_to_end(entry: Entry, folder: Path) -> None:
    """Run an entry that ends by itself, with its logs in a folder; raise ValueError with what it said if it fails."""
    folder.mkdir(parents=True)
    result = subprocess.run(entry.command(), cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ValueError(f"{entry.work} has failed: {(result.stderr.strip().splitlines() or ['no reason given'])[-1]}")
