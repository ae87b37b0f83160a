"""First program of each rank: finds out which rank it is, opens its log, and becomes the command of the user.

Run as a file, by mpirun too, so it imports nothing of the project:
rank_entry.py CONTROL_FOLDER WORK_FOLDER LOG_PATTERN PARENT PLACES COMMAND...
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1
SCHEDULER = "scheduler"


def rank_name(environment: Mapping[str, str]) -> str:
    """Return the number of this rank among all as text, or "scheduler" for where all ranks meet.

    Args:
        environment: As Open MPI or the launcher itself has set it up.
    """
    if environment.get("MS_ROLE") == "MS_SCHED":
        return SCHEDULER
    return environment.get("OMPI_COMM_WORLD_RANK") or environment["RANK_ID"]


def log_name(pattern: str, rank: str) -> str:
    """Return the log of a rank: `pattern` with `{rank}` replaced, and `_scheduler` in its place for the scheduler."""
    return pattern.replace("{rank}", f"_{rank}" if rank == SCHEDULER else rank)


def main(control: str, folder: str, pattern: str, parent: str, places: str, *command: str) -> None:
    """Register, open the log, keep to the rank's processors, and replace this program by the command.

    Args:
        control: Folder of the launcher, where a file named for the rank receives the process's id.
        folder: Current folder of the command.
        pattern: Name of the log in it.
        parent: Id of the process to end with, once it is the parent; 0 for the parent that there is.
        places: Device and processors of each rank that this may be, as JSON; no processors for all. Open MPI tells
            which one it is.
        command: Python, the script and its options; `{device}` in a word becomes the index of the rank's device.
    """
    rank = rank_name(os.environ)
    device, processors = json.loads(places)[int(os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK", "0"))]
    register(control, rank)
    os.chdir(folder)
    log = os.open(log_name(pattern, rank), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    end_with(int(parent) or os.getppid())
    if processors:
        os.sched_setaffinity(0, processors)
    os.environ["DEVICE_ID"] = str(device)
    program, script, *options = command
    words = [word.replace("{device}", str(device)) if word.startswith("--device_id=") else word for word in options]
    os.execvp(program, [program, script, *words])


def register(control: str, rank: str) -> None:
    """Tell the launcher the process id of a rank; the file appears whole."""
    path = os.path.join(control, rank)
    with open(f"{path}.part", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.replace(f"{path}.part", path)


def end_with(parent: int) -> None:
    """Have the kernel ask this process to end when its parent ends, so that a killed launcher leaves no orphan.

    Args:
        parent: Id of the launcher.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
