"""Start the ranks of a training or an evaluation and stay until the last has ended; called by the scripts here."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.common.counted import counted
from src.common.files import printable
from src.launch.commands import CLUSTER, MPIRUN, SINGLE, Launch, Program, Ranks, build_commands, choose_launcher
from src.launch.cores import divide_cores
from src.launch.guard import guard
from src.launch.machines import OtherMachines
from src.launch.rank_entry import SCHEDULER, log_name
from src.launch.rank_logs import end_of, follower, new_logs, say_full_disks, show_failure
from src.launch.rank_table import RankTable, find_own_server, read_rank_table
from src.launch.supervisor import Supervisor
from src.launch.visible_devices import choose_devices, visible_devices
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from src.model_utils.device_variable import VARIABLE

_ROOT = Path(__file__).resolve().parents[1]
_SHARED_PORT = 8118  # where the ranks of several machines meet unless told otherwise, as msrun has it
_LOOK_SECONDS = 2.0  # between two looks at the machines that the ranks are connected to
_OWN_OPTIONS = ("--device_id", "--is_distributed")


def main(argv: Sequence[str]) -> int:
    """Run the command; `argv` is without the program's name."""
    arguments = _parse(argv)
    if sys.platform != "linux":
        raise ConfigError(f"ranks can be started on Linux only, and this is {sys.platform}: call train.py or eval.py")
    for word in arguments.options:
        if word.partition("=")[0] in _OWN_OPTIONS:
            raise ConfigError(f"{word} cannot be given here: the script sets it")
    launch = _plan(arguments)
    guard(arguments.save_seconds)
    ranks, log = launch.ranks, launch.program.log
    has_scheduler = launch.launcher == CLUSTER and ranks.node == 0
    names = [*ranks.names, SCHEDULER] if has_scheduler else ranks.names
    logs = {name: Path(log_name(log, name)).absolute() for name in names}
    with new_logs(logs.values()), tempfile.TemporaryDirectory(prefix="xception-launch-") as control:
        supervisor = Supervisor(
            Path(control),
            ranks.names,
            awaited=[MPIRUN] if launch.launcher == MPIRUN else ranks.names,
            stop_seconds=arguments.stop_seconds,
            save_seconds=arguments.save_seconds,
        )
        return _run(launch, supervisor, Path(control), logs, follows=arguments.follow)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--python", required=True, help="Python to run the door with")
    parser.add_argument("--door", required=True, help="script of the project to run")
    parser.add_argument("--log", required=True, help="name of a rank's log; {rank} becomes its number")
    parser.add_argument("--device_target", required=True)
    parser.add_argument("--device_id", type=int, default=0, help="first device, among the visible ones")
    parser.add_argument("--rank_table", default="", help="rank table, which says all about the ranks")
    parser.add_argument("--device_num", type=int, default=1, help="ranks on each machine")
    parser.add_argument("--dynamic_cluster", action="store_true", help="leave mpirun aside")
    parser.add_argument("--bind_core", default="auto", help="whether each rank keeps to its share of the cores")
    parser.add_argument("--follow", action="store_true", help="show the log of the first rank in any case")
    parser.add_argument("--node_num", type=int, default=1)
    parser.add_argument("--node_rank", type=int, default=0)
    parser.add_argument("--master_addr", default="127.0.0.1")
    parser.add_argument("--master_port", type=int, default=0, help="0 takes a free one, on several machines 8118")
    parser.add_argument("--stop_seconds", type=float, default=15, help="from asking ranks to end to killing them")
    parser.add_argument("--save_seconds", type=float, default=300, help="the same after a signal, from the first end")
    parser.add_argument("options", nargs="*", help="options for the door, after --")
    return parser.parse_args(argv)


def _plan(arguments: argparse.Namespace) -> Launch:
    table = read_rank_table(arguments.rank_table) if arguments.rank_table else None
    ranks = _table_ranks(table, arguments.master_port) if table else _ranks(arguments)
    device = _device(arguments)
    devices = choose_devices(device, ranks.devices, os.environ, by_number=table is not None)
    _note_variable(devices)
    ranks = replace(ranks, devices=devices, cores=_cores(arguments.bind_core, len(devices)))
    has_mpirun = not arguments.dynamic_cluster and shutil.which("mpirun") is not None
    launcher = choose_launcher(device, ranks, has_mpirun)
    options = [f"--device_target={arguments.device_target}", "--device_id={device}"]
    if ranks.size > 1:
        options.append("--is_distributed=True")
    program = Program(arguments.python, _ROOT / arguments.door, [*options, *arguments.options], arguments.log)
    return Launch(launcher, device, ranks, program)


def _note_variable(devices: Sequence[int]) -> None:
    """Say on stderr if the variable DEVICE_ID names another device than those of this run."""
    own = os.environ.get(VARIABLE)
    names = ", ".join(map(str, devices))
    if own and own != names:
        those = "those of this run are" if len(devices) > 1 else "that of this run is"
        print(f"the variable {VARIABLE}={printable(own)} has no effect: {those} {names}", file=sys.stderr, flush=True)


def _ranks(arguments: argparse.Namespace) -> Ranks:
    """Return the ranks of a run without a rank table."""
    count, nodes = arguments.device_num, arguments.node_num
    return Ranks(
        count * nodes,
        tuple(range(arguments.device_id, arguments.device_id + count)),
        first=count * arguments.node_rank,
        node=arguments.node_rank,
        master_addr=_address(arguments.master_addr),
        master_port=arguments.master_port or (_SHARED_PORT if nodes > 1 else 0),
    )


def _table_ranks(table: RankTable, port: int) -> Ranks:
    """Return the ranks of a run with a rank table."""
    own = find_own_server(table, os.environ)
    devices = table.servers[own].devices
    several = len(table.servers) > 1
    return Ranks(
        table.size,
        tuple(device.device_id for device in devices),
        first=devices[0].rank,
        node=own,
        master_addr=_address(table.servers[0].server_id) if several else "127.0.0.1",
        master_port=port or (_SHARED_PORT if several else 0),
    )


def _address(name: str) -> str:
    """Return the IP address of a machine, as MindSpore wants it."""
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ConfigError(f"no address is known of {name}, where the ranks are to meet: {error}") from error


def _cores(bind: str, ranks: int) -> tuple[tuple[int, ...], ...]:
    """Return the processors of each rank of this machine, none where they are to share all."""
    if bind not in ("auto", "True", "False"):
        raise ConfigError(f"BIND_CORE must be auto, True or False: {bind}")
    if bind == "False" or (bind == "auto" and ranks == 1):
        return ()
    available = os.sched_getaffinity(0)
    parts = divide_cores(available, ranks)
    if parts is None and bind == "True":
        raise ConfigError(f"BIND_CORE is True, but the cores of {len(available)} processors do not divide by {ranks}")
    return tuple(map(tuple, parts or ()))


def _device(arguments: argparse.Namespace) -> str:
    """Return the device that the ranks will use: the last word on it is the user's."""
    device = arguments.device_target
    for word, following in itertools.zip_longest(arguments.options, arguments.options[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--device_target":
            device = value if equals else following
    return device


def _run(
    launch: Launch, supervisor: Supervisor, control: Path, logs: Mapping[str, Path], *, follows: bool = False
) -> int:
    """Start the ranks, wait for them, and say how it went; return the exit status."""
    commands = build_commands(launch, control, os.environ)
    ranks = launch.ranks
    first = logs[ranks.names[0]]
    count = f"{len(ranks.names)} of {ranks.size} ranks ({launch.launcher})" if ranks.size > 1 else "one process"
    last = f" to {logs[ranks.names[-1]]}" if len(ranks.names) > 1 else ""
    follow_it = f"to follow it: tail -f {shlex.quote(str(first))}"
    print(f"{count}{_describe(launch)}, log in {first}{last}; {follow_it}", flush=True)
    follow = follower(first) if sys.stdout and (follows or sys.stdout.isatty()) else None
    master = (ranks.master_addr, ranks.master_port) if ranks.node else None
    machines = OtherMachines(master) if ranks.size > len(ranks.devices) else None
    look_at = 0.0

    def on_tick() -> None:
        nonlocal look_at
        if follow:
            follow()
        if machines and time.monotonic() >= look_at:
            machines.note(supervisor.registered())
            look_at = time.monotonic() + _LOOK_SECONDS

    status = supervisor.run(commands, on_tick)
    if follow:
        follow()
    say_full_disks(logs.values())
    if supervisor.failure:
        show_failure(supervisor.failure, logs, control, machines.silent() if machines else {})
    elif supervisor.signal:
        print(f"ended after {signal.Signals(supervisor.signal).name}", file=sys.stderr, flush=True)
    elif not follow and first.stat().st_size:
        print(end_of(first, 3), flush=True)
    return status


def _describe(launch: Launch) -> str:
    """Return which devices and cores the ranks of this machine have, as far as that is not told by their number."""
    ranks = launch.ranks
    visible = visible_devices(launch.device, os.environ)
    devices = f" on {launch.device} {visible.describe(ranks.devices)}" if visible else ""
    if launch.launcher == SINGLE:
        return devices
    share = f"{counted(len(ranks.cores[0]), 'processor')} each" if ranks.cores else "all processors for each"
    return f"{devices}, {share} (BIND_CORE)"


if __name__ == "__main__":
    sys.exit(run_command(main))
