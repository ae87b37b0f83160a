"""Rounds that variants run in turn, each in processes of its own that stay warm."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tools.benchmarks.variants import Variant

TOLERANCE = 1e-3  # of the largest value
HALF_TOLERANCE = 3e-2  # among implementations in half precision
_POLL_SECONDS = 0.5
_END_SECONDS = 60.0

Values = dict[str, list[float]]


@dataclass(frozen=True)
class Measurement:
    """What a variant's rounds have shown.

    Args:
        variant: The variant.
        speeds: Images/s of every round.
        start_seconds: From the start of a process to its first round, the longest of all ranks.
        compile_seconds: How much longer the first round, which is not among the speeds, took than the others.
        peak_memory: Bytes, of all ranks together.
        result: What the first rank's rounds came to.
        problems: What is wrong with the results, a line for each.
    """

    variant: Variant
    speeds: list[float]
    start_seconds: float
    compile_seconds: float
    peak_memory: int
    result: Values
    problems: list[str]


class RunningVariant:
    """The processes of a variant; use it as a context manager.

    Args:
        variant: What to run.
        folder: Folder for its logs, its current folder.
    """

    def __init__(self, variant: Variant, folder: Path):
        self.variant = variant
        self._folder = folder
        self._log = folder / "output.log"
        self._streams: list[Any] = []
        self.rounds: list[list[dict[str, Any]]] = []  # of every round the answers of the ranks

    def __enter__(self) -> RunningVariant:
        self._folder.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as server, self._log.open("wb") as log:
            command = self.variant.command(server.getsockname()[1])
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
            server.settimeout(_POLL_SECONDS)
            try:
                while len(self._streams) < self.variant.ranks:
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

    def measurement(self) -> Measurement:
        """Return what the rounds so far have shown; the first one was the warm-up."""
        seconds = [max(answer["seconds"] for answer in answers) for answers in self.rounds]
        last, first = self.rounds[-1], self.rounds[0][0]["result"]
        problems = [
            f"{self.variant.name}, round {number}: {problem}"
            for number, answers in enumerate(self.rounds)
            for problem in self._problems(answers)
        ]
        return Measurement(
            variant=self.variant,
            speeds=[self.variant.images * self.variant.passes / each for each in seconds[1:]],
            start_seconds=max(answer["start"] for answer in last),
            compile_seconds=max(seconds[0] - statistics.median(seconds[1:]), 0.0),
            peak_memory=sum(answer["peak_memory"] for answer in last),
            result=first,
            problems=problems,
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
        raise ValueError(f"{self.variant.workload} by {self.variant.name} has failed: {said.removeprefix('error: ')}")

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


def measure_in_turn(
    variants: Sequence[Variant], rounds: int, folder: Path, on_round: Callable[[], None]
) -> list[Measurement]:
    """Measure variants against each other: A, B, A, B and so on, after a warm-up round of each.

    Args:
        variants: One or more.
        rounds: Rounds of each, 1 or more.
        folder: Folder for logs.
        on_round: Called after each round.

    Returns:
        What was measured, in the order of the variants.

    Raises:
        ValueError: If one of them fails.
    """
    with ExitStack() as stack:
        running = []
        for number, variant in enumerate(variants):
            running.append(stack.enter_context(RunningVariant(variant, folder / str(number))))
            running[-1].run()
            on_round()
        for _ in range(rounds):
            for each in running:
                each.run()
                on_round()
        return [each.measurement() for each in running]


def difference(found: Values, expected: Values, tolerance: float = TOLERANCE) -> str:
    """Tell how results differ; an empty text if they agree."""
    for name, values in expected.items():
        left, right = np.asarray(found.get(name, []), float), np.asarray(values, float)
        if left.shape != right.shape or not right.size:
            return f"{left.size} {name} instead of {right.size}"
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return f"{name} that are NaN or infinite"
        largest = float(np.abs(left - right).max() / max(np.abs(right).max(), 1e-12))
        if largest > tolerance:
            return f"{name} differ by {largest:.2g} of the largest, more than {tolerance:g}"
    return ""
