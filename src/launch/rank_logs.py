"""The logs of this machine's ranks: made anew and locked, followed while they grow, and their ends shown."""

from __future__ import annotations

import codecs
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from src.common.files import move_aside
from src.launch.commands import MPIRUN
from src.launch.processes import describe_status
from src.launch.supervisor import Failure
from src.model_utils.config import ConfigError

_NOISE = re.compile(r"\[(INFO|WARNING)\] ")  # MindSpore writes pages of these about every distributed run


@contextmanager
def new_logs(paths: Iterable[Path]) -> Iterator[None]:
    """Make empty logs, with earlier ones moved aside, and lock them until the block ends.

    Args:
        paths: The logs; their folders are made.

    Returns:
        A context.

    Raises:
        ConfigError: Another run writes one of them.
        OSError: One cannot be made.
    """
    with ExitStack() as locks:
        for path in paths:
            locks.callback(os.close, _new_log(path))
        yield


def follower(path: Path) -> Callable[[], None]:
    """Return a function that prints what has been added to a file since it was last called."""
    position = 0
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")  # a character may be half written

    def follow() -> None:
        nonlocal position
        with path.open("rb") as log:
            log.seek(position)
            added = log.read()
        position += len(added)
        sys.stdout.write(decoder.decode(added))
        sys.stdout.flush()

    return follow


def end_of(path: Path, count: int) -> str:
    """Return the last lines of a log without MindSpore's warnings; of a progress bar, its last state only.

    Args:
        path: The log.
        count: Number of lines.
    """
    text = path.read_bytes()[-65536:].decode("utf-8", "replace")
    lines = [line.rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return "\n".join([line for line in lines if not _NOISE.match(line)][-count:])


def show_failure(failure: Failure, logs: Mapping[str, Path], control: Path, silent: Mapping[str, str]) -> None:
    """Print on stderr what is known of a failure: the end of the log, and a line that names it.

    Args:
        failure: The process that ended as it should not have.
        logs: The log of each rank by name.
        control: Folder of the launcher.
        silent: Other machines that do not answer, with the reason: it is theirs, and the log tells less.
    """
    who = f"rank {failure.name}" if failure.name.isdigit() else failure.name
    how = "did not start" if failure.status is None else describe_status(failure.status)
    log = logs.get(failure.name)
    is_written = log is not None and log.stat().st_size > 0
    if silent:
        machines = ", ".join(f"{name} ({reason})" for name, reason in silent.items())
        found = f"machine {machines} does" if len(silent) == 1 else f"machines {machines} do"
        end = f"; the log is {log}" if is_written else ""
        print(
            f"error: {found} not answer, so {who} {how}: see to the machine or the network, then start all again{end}",
            file=sys.stderr,
            flush=True,
        )
        return
    # What went wrong before the log was opened stands with the program that starts the ranks.
    for path in [log, *sorted(control.glob("start-*")), control / MPIRUN]:
        if path and path.exists() and path.stat().st_size:
            print(end_of(path, 20), file=sys.stderr, flush=True)
            break
    print(f"error: {who} {how}" + (f": above is the end of {log}" if is_written else ""), file=sys.stderr, flush=True)


def say_full_disks(logs: Iterable[Path]) -> None:
    """Print a line on stderr for each folder of logs whose disk has no room: a rank goes on without its log."""
    for folder in dict.fromkeys(log.parent for log in logs):
        if not shutil.disk_usage(folder).free:
            print(f"warning: the disk of {folder} is full: what a log there should end with is lost", file=sys.stderr)


def _new_log(path: Path) -> int:
    """Make an empty log, with an earlier one moved aside; return its descriptor, which locks it while it is open."""
    import fcntl

    busy = f"{path} belongs to a run that goes on: start this one from another folder"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open("rb") as earlier:
            try:
                fcntl.flock(earlier, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(busy) from None
            aside = move_aside([path], path.parent)
        print(f"moved {path.name} of an earlier run to {aside}", flush=True)
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileExistsError, BlockingIOError):
        raise ConfigError(busy) from None
    return log
