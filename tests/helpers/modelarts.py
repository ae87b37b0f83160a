"""A bucket, a server and processes of jobs on it, for the tests of what is done around a run on ModelArts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from src.modelarts.filled_folder import MARK
from tests.helpers.project import ROOT

STAND_IN = ROOT / "tests" / "helpers" / "stand_in"
RUN = ROOT / "tests" / "helpers" / "modelarts_run.py"


class Bench:
    """A bucket, a server's folders, and the processes of jobs on it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bucket = folder / "bucket"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        for name in ("data", "checkpoints", "results"):
            (self.bucket / name).mkdir(parents=True)
        for number in range(6):
            (self.bucket / "data" / f"{number}.jpg").write_text(str(number))
        (self.bucket / "checkpoints" / "a.ckpt").write_text("weights")
        self.started: list[subprocess.Popen] = []

    def options(self, **changes: object) -> list[str]:
        values = {
            "enable_modelarts": True, "device_target": "CPU", "data_url": "obs://data", "train_url": "obs://results",
            "checkpoint_url": "obs://checkpoints", "data_path": self.folder / "cache/data",
            "output_path": self.folder / "cache/train", "load_path": self.folder / "cache/load",
        }  # fmt: skip
        return [f"--{key}={value}" for key, value in (values | changes).items()]

    def environment(self, **variables: str) -> dict[str, str]:
        path = os.pathsep.join([str(STAND_IN), str(ROOT)])
        shared = {"PYTHONPATH": path, "MOXING_ROOT": str(self.bucket), "TMPDIR": str(self.temporary)}
        return {**os.environ, **shared, **variables}

    def start(
        self, options: list[str] | None = None, ending: str = "", wait_limit: float = 60, **variables: str
    ) -> subprocess.Popen:
        arguments = json.dumps([options or self.options(), ending, wait_limit, str(self.folder)])
        process = subprocess.Popen(
            [sys.executable, RUN, arguments], env=self.environment(**variables), cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def calls(self, kind: str = "") -> list[str]:
        """Return the copies that were begun: all of them, those `in` or those `out`."""
        path = self.bucket / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not kind or (line.split()[1].startswith("obs:") == (kind == "in"))]

    def copier(self, copies: int = 1) -> int:
        """Wait until so many copies have begun; return the process of the last."""
        until(lambda: len(self.calls()) >= copies)
        return int(self.calls()[-1].split()[0])

    def begun(self) -> int:
        return len(list(self.folder.glob("begun-*")))

    def set(self, name: str, text: str = "") -> Path:
        path = (self.folder if name == "hold" else self.bucket) / name
        path.write_text(text)
        return path

    def locks(self) -> list[str]:
        return os.listdir(self.temporary)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the limit only keeps a broken program from hanging the tests."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def waiting(processes: list[subprocess.Popen]) -> None:
    """Wait until the processes are waiting for the lock: their first line on stderr says so."""
    for process in processes:
        assert process.stderr.readline().startswith("waiting for process ")


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != MARK)
