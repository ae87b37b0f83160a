"""Start the ranks of a training or an evaluation and stay until the last has ended; called by the scripts here."""

from __future__ import annotations

import argparse
import fcntl
import itertools
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.common.files import move_aside
from src.launch import commands
from src.launch.processes import describe_status
from src.launch.rank_entry import SCHEDULER, log_name
from src.launch.rank_table import find_own_server, read_rank_table
from src.launch.supervisor import Failure, Supervisor
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

_ROOT = Path(__file__).resolve().parents[1]
_SHARED_PORT = 8118  # where the ranks of several machines meet unless told otherwise: msrun's own default
_NOISE = re.compile(r"\[(INFO|WARNING)\] ")  # MindSpore writes pages of these about every distributed run
_OWN_OPTIONS = ("--device_id", "--is_distributed")


def main(argv: Sequence[str]) -> int:
    """Run the command; `argv` is without the program's name."""
    arguments = _parse(argv)
    for word in arguments.options:
        if word.partition("=")[0] in _OWN_OPTIONS:
            raise ConfigError(f"{word} cannot be given here: the script sets it")
    group = _table_group(arguments.rank_table) if arguments.rank_table else _group(arguments)
    device = _device(arguments)
    version = commands.mindspore_version()
    way = commands.choose_way(device, group, version, not arguments.msrun and shutil.which("mpirun") is not None)
    door = _door(arguments, group)
    logs = {rank: Path(log_name(door.log, rank)).absolute() for rank in [*group.ranks, SCHEDULER]}
    if way != commands.MSRUN or group.node_rank > 0:
        del logs[SCHEDULER]
    locks = [_new_log(path) for path in logs.values()]
    try:
        with tempfile.TemporaryDirectory(prefix="xception-launch-") as control:
            return _launch(way, device, group, door, Path(control), logs, arguments)
    finally:
        for lock in locks:
            os.close(lock)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--python", required=True, help="Python to run the door with")
    parser.add_argument("--door", required=True, help="script of the project to run")
    parser.add_argument("--log", required=True, help="name of a rank's log; {rank} becomes its number")
    parser.add_argument("--device_target", required=True)
    parser.add_argument("--device_id", type=int, default=0, help="device of a run of one rank")
    parser.add_argument("--rank_table", default="", help="rank table, which says all about the ranks")
    parser.add_argument("--device_num", type=int, default=1, help="ranks on each machine")
    parser.add_argument("--msrun", action="store_true", help="leave mpirun aside")
    parser.add_argument("--node_num", type=int, default=1)
    parser.add_argument("--node_rank", type=int, default=0)
    parser.add_argument("--master_addr", default="127.0.0.1")
    parser.add_argument("--master_port", type=int, default=0, help="0 takes a free one, on several machines 8118")
    parser.add_argument("--stop_seconds", type=float, default=15, help="from asking ranks to end to killing them")
    parser.add_argument("--save_seconds", type=float, default=300, help="the same after a signal, from the first end")
    parser.add_argument("options", nargs="*", help="options for the door, after --")
    return parser.parse_args(argv)


def _group(arguments: argparse.Namespace) -> commands.Group:
    """Return the group of a run without a rank table."""
    count, nodes = arguments.device_num, arguments.node_num
    return commands.Group(
        count * nodes,
        tuple(range(count)) if count > 1 or nodes > 1 else (arguments.device_id,),
        first_rank=count * arguments.node_rank,
        node_rank=arguments.node_rank,
        master_addr=arguments.master_addr,
        master_port=arguments.master_port or (_SHARED_PORT if nodes > 1 else 0),
    )


def _table_group(path: str) -> commands.Group:
    """Return the group of a run with a rank table."""
    table = read_rank_table(path)
    own = find_own_server(table, os.environ)
    devices = table.servers[own].devices
    several = len(table.servers) > 1
    return commands.Group(
        table.size,
        tuple(device.device_id for device in devices),
        first_rank=devices[0].rank,
        node_rank=own,
        rank_table=path,
        master_addr=table.servers[0].server_id if several else "127.0.0.1",
        master_port=_SHARED_PORT if several else 0,
    )


def _device(arguments: argparse.Namespace) -> str:
    """Return the device that the ranks will use: the last word on it is the user's."""
    device = arguments.device_target
    for word, following in itertools.zip_longest(arguments.options, arguments.options[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--device_target":
            device = value if equals else following
    return device


def _door(arguments: argparse.Namespace, group: commands.Group) -> commands.Door:
    options = [f"--device_target={arguments.device_target}", "--device_id={device}"]
    if group.size > 1:
        options.append("--is_distributed=True")
    return commands.Door(arguments.python, _ROOT / arguments.door, [*options, *arguments.options], arguments.log)


def _new_log(path: Path) -> int:
    """Make an empty log, with an earlier one moved aside; return its descriptor, which locks it while it is open.

    Raises:
        ConfigError: Another run writes it.
    """
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


def _launch(
    way: str,
    device: str,
    group: commands.Group,
    door: commands.Door,
    control: Path,
    logs: dict[str, Path],
    arguments: argparse.Namespace,
) -> int:
    """Start the ranks, wait for them, and say how it went; return the exit status."""
    started = commands.build_commands(way, device, group, door, control, os.environ)
    awaited = [way] if way == commands.MPIRUN else group.ranks
    supervisor = Supervisor(control, group.ranks, awaited, arguments.stop_seconds, arguments.save_seconds)
    first = logs[group.ranks[0]]
    count = f"{len(group.ranks)} of {group.size} ranks" if group.size > 1 else "one process"
    last = f" to {logs[group.ranks[-1]]}" if len(group.ranks) > 1 else ""
    print(f"{count} ({way}), log in {first}{last}; to follow it: tail -f {shlex.quote(str(first))}", flush=True)
    follow = _follower(first) if sys.stdout.isatty() else None
    status = supervisor.run(started, follow or (lambda: None))
    if follow:
        follow()
    if supervisor.failure:
        _report(supervisor.failure, logs, control)
    elif supervisor.signal:
        print(f"ended after {signal.Signals(supervisor.signal).name}", file=sys.stderr)
    elif not follow:
        print(_end_of(first, 3))
    return status


def _report(failure: Failure, logs: dict[str, Path], control: Path) -> None:
    """Show what is known of a failure: the end of the log, and a line that names it."""
    who = f"rank {failure.name}" if failure.name.isdigit() else failure.name
    how = "did not start" if failure.status is None else describe_status(failure.status)
    log = logs.get(failure.name)
    # What went wrong before the log was opened stands with the program that starts the ranks.
    for path in [log, *sorted(control.glob("start-*")), control / commands.MSRUN, control / commands.MPIRUN]:
        if path and path.exists() and path.stat().st_size:
            print(_end_of(path, 20), file=sys.stderr)
            break
    end = f": above is the end of {log}" if log and log.stat().st_size else ""
    print(f"error: {who} {how}{end}", file=sys.stderr)


def _end_of(path: Path, count: int) -> str:
    """Return the last lines of a log without MindSpore's warnings; of a progress bar, its last state only."""
    text = path.read_bytes()[-65536:].decode("utf-8", "replace")
    lines = [line.rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return "\n".join([line for line in lines if not _NOISE.match(line)][-count:])


def _follower(path: Path) -> Callable[[], None]:
    """Return a function that prints what has been added to a file since it was last called."""
    position = 0

    def follow() -> None:
        nonlocal position
        with path.open("rb") as log:
            log.seek(position)
            added = log.read()
        position += len(added)
        sys.stdout.buffer.write(added)
        sys.stdout.flush()

    return follow


if __name__ == "__main__":
    sys.exit(run_command(main))
