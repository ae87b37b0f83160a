"""How the ranks of a run are started: the one place that knows what MindSpore and this machine take."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.launch import rank_entry
from src.launch.cuda_packages import cuda_variables
from src.launch.supervisor import Command

SINGLE, CLUSTER, MPIRUN = "single", "dynamic cluster", "mpirun"
# Left over from another run, these would put the ranks in wrong places.
_STALE = (
    "RANK_TABLE_FILE", "RANK_ID", "RANK_SIZE", "DEVICE_ID", "MS_ROLE", "MS_SCHED_HOST", "MS_SCHED_PORT",
    "MS_WORKER_NUM", "MS_NODE_ID", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE",
)  # fmt: skip
_JOIN_SECONDS = "600"  # until all ranks must have met, as msrun has it; else MindSpore waits for half an hour


@dataclass(frozen=True)
class Ranks:
    """The ranks of a run, and which of them are this machine's.

    Args:
        size: Number of ranks on all machines.
        devices: Index of the device of each rank of this machine, among the visible ones, in the order of ranks.
        first: The first rank of this machine.
        node: Number of this machine among all of them, from 0.
        master_addr: Address of the machine of rank 0.
        master_port: Its port where the ranks meet; 0 takes a free one, for a run on this machine alone.
        cores: The processors that each rank of this machine keeps to; empty for all.
    """

    size: int
    devices: tuple[int, ...]
    first: int = 0
    node: int = 0
    master_addr: str = "127.0.0.1"
    master_port: int = 0
    cores: tuple[tuple[int, ...], ...] = ()

    @property
    def names(self) -> list[str]:
        """The numbers of this machine's ranks as text."""
        return [str(self.first + index) for index in range(len(self.devices))]


@dataclass(frozen=True)
class Program:
    """What every rank runs.

    Args:
        python: The Python to run it with.
        script: Path of train.py or eval.py.
        options: Its options.
        log: Name of a rank's log, where `{rank}` becomes the rank, relative to the current folder.
    """

    python: str
    script: Path
    options: Sequence[str]
    log: str


@dataclass(frozen=True)
class Launch:
    """How this machine's part of a run is started.

    Args:
        launcher: As `choose_launcher` returns it.
        device: "Ascend", "GPU" or "CPU".
        ranks: The ranks.
        program: What they run.
    """

    launcher: str
    device: str
    ranks: Ranks
    program: Program


def choose_launcher(device: str, ranks: Ranks, has_mpirun: bool) -> str:
    """Choose how to start a run.

    MindSpore 2.10 refuses to start by a rank table on Ascend, and wants msrun; what msrun sets up is its dynamic
    cluster, in which each machine may have another number of ranks.

    Args:
        device: "Ascend", "GPU" or "CPU".
        ranks: The ranks.
        has_mpirun: Whether Open MPI's mpirun is installed.

    Returns:
        "single" for one process without a launcher, "mpirun" or "dynamic cluster".
    """
    if ranks.size == 1:
        return SINGLE
    if device == "GPU" and has_mpirun and len(ranks.devices) == ranks.size:
        return MPIRUN
    return CLUSTER


def build_commands(launch: Launch, control: Path, environment: Mapping[str, str]) -> list[Command]:
    """Return the commands that start a run.

    Args:
        launch: What is started.
        control: Folder that the ranks share, on this machine.
        environment: Environment variables of the launcher.

    Returns:
        One command for each rank and the scheduler where they meet, if it is this machine's, or the one that starts
        them all.
    """
    environment = {key: value for key, value in environment.items() if key not in _STALE}
    if launch.device == "GPU":
        environment |= cuda_variables(environment)
    if launch.launcher == MPIRUN:
        return [_mpirun_command(launch, control, environment)]
    ranks = launch.ranks
    variables = {}
    if launch.launcher == CLUSTER:
        environment.setdefault("MS_TOPO_TIMEOUT", _JOIN_SECONDS)
        variables = _meeting(ranks)
    places = _places(ranks)
    commands = [
        _command(launch, name, place, control, {**environment, **variables, **_own(launch, name, place[0])})
        for name, place in zip(ranks.names, places, strict=True)
    ]
    if launch.launcher == CLUSTER and ranks.node == 0:
        own = {"MS_ROLE": "MS_SCHED", "RANK_ID": "0"}
        place = (ranks.devices[0], ())
        commands.insert(0, _command(launch, rank_entry.SCHEDULER, place, control, {**environment, **variables, **own}))
    return commands


def _meeting(ranks: Ranks) -> dict[str, str]:
    """Return the variables of the dynamic cluster that all its processes share."""
    return {
        "MS_WORKER_NUM": str(ranks.size),
        "MS_SCHED_HOST": ranks.master_addr,
        "MS_SCHED_PORT": str(ranks.master_port or _free_port()),
        "RANK_SIZE": str(ranks.size),
    }


def _own(launch: Launch, rank: str, device: int) -> dict[str, str]:
    """Return the variables of one rank."""
    own = {"RANK_ID": rank, "DEVICE_ID": str(device)}
    return own | ({"MS_ROLE": "MS_WORKER", "MS_NODE_ID": rank} if launch.launcher == CLUSTER else {})


def _places(ranks: Ranks) -> list[tuple[int, Sequence[int]]]:
    """Return device and processors of each rank of this machine; no processors for all."""
    return [(device, ranks.cores[index] if ranks.cores else ()) for index, device in enumerate(ranks.devices)]


def _command(
    launch: Launch, name: str, place: tuple[int, Sequence[int]], control: Path, environment: Mapping[str, str]
) -> Command:
    """Return the command that starts a rank, or the scheduler, by itself."""
    words = [sys.executable, *_entry(launch, control, [place])]
    return Command(name, words, environment, Path.cwd(), control / f"start-{name}")


def _mpirun_command(launch: Launch, control: Path, environment: dict[str, str]) -> Command:
    """Return the call of mpirun, which starts all ranks."""
    # It looks python3 up in PATH; any will do, as the first program of a rank changes to the right one.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    # By itself it would bind each of two ranks to one core, with all the threads that read images.
    words = ["mpirun", "-n", str(launch.ranks.size), "--bind-to", "none", *root, "python3"]
    words += _entry(launch, control, _places(launch.ranks))
    return Command(MPIRUN, words, environment, Path.cwd(), control / MPIRUN)


def _entry(launch: Launch, control: Path, places: Sequence[tuple[int, Sequence[int]]]) -> list[str]:
    """Return the first program of a rank with its arguments."""
    program = launch.program
    command = [program.python, str(program.script), *program.options]
    return [rank_entry.__file__, str(control), str(Path.cwd()), program.log, json.dumps(places), *command]


def _free_port() -> int:
    """Return a port of this machine that nobody uses, so that two runs do not meet at the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
