"""First program of each rank: finds out which rank it is, opens its log, and becomes the command of the user.

Run as a file, by mpirun too, so it imports nothing of the project:
rank_entry.py CONTROL_FOLDER WORK_FOLDER LOG_PATTERN PLACES COMMAND...
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping

SCHEDULER = "scheduler"
LIFELINE = "launcher"  # a FIFO in the folder of the launcher, which holds it open for as long as it lives


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


def main(control: str, folder: str, pattern: str, places: str, *command: str) -> None:
    """Register, open the log, keep to the rank's processors, and replace this program by the command.

    Args:
        control: Folder of the launcher, where a file named for the rank receives the process's id.
        folder: Current folder of the command.
        pattern: Name of the log in it.
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
    lifeline = os.open(os.path.join(control, LIFELINE), os.O_RDONLY | os.O_NONBLOCK)
    os.set_inheritable(lifeline, True)
    end_with(lifeline)
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


def end_with(lifeline: int) -> None:
    """Have the kernel ask this process to end when the launcher ends, so that a killed one leaves no orphan.

    It need not be the launcher's child: mpirun, which would give its own children a second to save, is in between.

    Args:
        lifeline: The reading end of a pipe or FIFO, whose other end the launcher holds open. It serves this process
            alone, which must keep it.
    """
    import fcntl  # which Windows lacks, where doors import this module

    fcntl.fcntl(lifeline, fcntl.F_SETSIG, int(signal.SIGTERM))
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    try:
        os.read(lifeline, 1)
    except BlockingIOError:
        return
    sys.exit(1)  # nothing to read and nobody to wait for: it has ended before


if __name__ == "__main__":
    main(*sys.argv[1:])
