"""What the tests of the launch scripts share: stand-ins for Python, mpirun and MindSpore, and a look for orphans."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.project import ROOT

# Records how a door was called and does what ACT says, as the scheduler what SCHEDULER_ACT says; is Python in all else.
PYTHON = """
import json, os, sys, uuid
words = sys.argv[1:]
if words and os.path.basename(words[0]) in ("train.py", "eval.py", "eval_onnx.py"):
    processors = sorted(os.sched_getaffinity(0))
    record = {"words": words, "cwd": os.getcwd(), "environment": dict(os.environ), "processors": processors}
    path = os.path.join(os.environ["RECORDS"], uuid.uuid4().hex)
    with open(path, "w") as file:
        json.dump(record, file)
    os.rename(path, path + ".json")
    exec(os.environ.get("SCHEDULER_ACT" if os.environ.get("MS_ROLE") == "MS_SCHED" else "ACT", ""))
else:
    os.execv(sys.executable, [sys.executable, *words])
"""
# Starts the ranks as Open MPI does: waits for all, or ends them when one fails and returns the status of that one. On
# SIGTERM it gives them a moment, which is a second with Open MPI 5.
MPIRUN = """#!/bin/bash
printf '%s\\0' "$@" >"$RECORDS/mpirun"
trap 'kill "${ranks[@]}"; sleep 0.3; kill -9 "${ranks[@]}"; exit 1' TERM
count="$2"
while [[ "$1" != python3 ]]; do shift; done
ranks=()
for ((i = 0; i < count; i++)); do
    OMPI_COMM_WORLD_SIZE="$count" OMPI_COMM_WORLD_RANK="$i" OMPI_COMM_WORLD_LOCAL_RANK="$i" "$@" &
    ranks+=("$!")
done
status=0
for ((i = 0; i < count; i++)); do
    wait -n || { status=$?; kill "${ranks[@]}" 2>/dev/null; break; }
done
wait
exit "$status"
"""
RANK_ACT = "rank = os.environ.get('OMPI_COMM_WORLD_RANK') or os.environ.get('RANK_ID', '')\n"
RANK_ACT += "is_scheduler = os.environ.get('MS_ROLE') == 'MS_SCHED'\n"


@dataclass
class Bench:
    """A folder for stand-ins, and another one to start scripts from.

    Args:
        folder: Where the stand-ins and their records are.
        work: The current folder of the scripts, with data, a checkpoint and rank tables.
    """

    folder: Path
    work: Path

    @classmethod
    def make(cls, folder: Path) -> Bench:
        bench = cls(folder / "stand in", folder / "my work")
        (bench.folder / "records").mkdir(parents=True)
        (bench.folder / "program.py").write_text(PYTHON)
        command = shlex.join([sys.executable, str(bench.folder / "program.py")])
        bench.write_program("python", f'#!/bin/sh\nexec {command} "$@"\n')
        (bench.work / "some data").mkdir(parents=True)
        (bench.work / "my net.ckpt").touch()
        return bench

    def write_program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def write_table(self, *servers: Sequence[int], names: Sequence[str] = ("10.0.0.1", "10.0.0.2")) -> str:
        """Write a rank table with the device ids of each server; return its name."""
        rank, entries = 0, []
        for name, devices in zip(names, servers, strict=False):
            entry = {"server_id": name, "device": []}
            for device in devices:
                entry["device"].append({"device_id": str(device), "device_ip": "", "rank_id": str(rank)})
                rank += 1
            entries.append(entry)
        table = {"version": "1.0", "server_count": str(len(entries)), "server_list": entries}
        (self.work / "my table.json").write_text(json.dumps(table))
        return "my table.json"

    def launch(self, script: str, *words: str, act: str = "", **variables: str) -> Launch:
        """Start a script with the stand-in for Python."""
        return Launch(["bash", str(ROOT / "scripts" / script), *words], self.work, self.environment(act) | variables)

    def environment(self, act: str = "") -> dict[str, str]:
        """Return the environment in which the stand-in for Python is used and does something in the place of a door."""
        own = {"PYTHON": str(self.folder / "python"), "RECORDS": str(self.folder / "records")}
        return {**os.environ, **own, "ACT": RANK_ACT + act}

    def records(self, of_scheduler: bool = False) -> list[dict]:
        """Return what the stand-in has recorded, in the order of ranks; of the scheduler if that is asked for."""
        found = [json.loads(path.read_text()) for path in (self.folder / "records").glob("*.json")]
        environments = [record["environment"] for record in found]
        found = [
            record
            for record, environment in zip(found, environments, strict=True)
            if (environment.get("MS_ROLE") == "MS_SCHED") == of_scheduler
        ]
        names = ("OMPI_COMM_WORLD_RANK", "RANK_ID")
        return sorted(found, key=lambda each: next(each["environment"][n] for n in names if n in each["environment"]))


def _answer_hangup() -> None:
    """Undo what nohup does: a shell cannot answer a signal that it was started to ignore."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Launch:
    """A running script, whose processes all carry a mark in their environment."""

    def __init__(self, words: Sequence[str], cwd: Path, environment: dict[str, str]) -> None:
        self._mark = f"LAUNCH_MARK={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            words, cwd=cwd, env={**environment, name: value}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=_answer_hangup,
        )  # fmt: skip

    def wait(self) -> tuple[int, str, str]:
        """Wait for the script, and return its status and outputs; nothing that it started may be left."""
        output, errors = self.process.communicate(timeout=200)
        assert self.processes() == []
        return self.process.returncode, output, errors

    def processes(self) -> list[int]:
        """Return the ids of all processes of this launch, wherever they are."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self._mark.encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


def wait_until(condition: Callable[[], object], launch: Launch | None = None) -> None:
    """Wait until a condition holds; while a launch runs, if one is given."""
    deadline = time.monotonic() + 150
    while not condition():
        assert time.monotonic() < deadline
        assert launch is None or launch.process.poll() is None, launch.process.communicate()
        time.sleep(0.05)
