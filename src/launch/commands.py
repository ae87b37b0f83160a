"""How the ranks of a run are started: the one place that knows what the installed MindSpore and this machine take."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from src.launch import rank_entry
from src.launch.cuda_packages import cuda_variables
from src.launch.supervisor import Command
from src.model_utils.config import ConfigError

SINGLE, TABLE, MSRUN, MPIRUN = "single", "table", "msrun", "mpirun"
_LAST_WITH_TABLE = (2, 7)  # the last MindSpore whose processes take their places from RANK_TABLE_FILE
_PACKAGES = ("mindspore", "mindspore-gpu", "mindspore-ascend")
# Left over from another run, these would put the ranks in wrong places.
_STALE = (
    "RANK_TABLE_FILE", "RANK_ID", "RANK_SIZE", "DEVICE_ID", "MS_ROLE", "MS_SCHED_HOST", "MS_SCHED_PORT",
    "MS_WORKER_NUM", "MS_NODE_ID",
)  # fmt: skip


@dataclass(frozen=True)
class Ranks:
    """The ranks of a run, and which of them are this machine's.

    Args:
        size: Number of ranks on all machines.
        devices: Index of the device of each rank of this machine, in the order of ranks.
        first: The first rank of this machine.
        node: Number of this machine among all of them, from 0.
        table: Path of the rank table, empty if the run has none.
        master_addr: Address of the machine of rank 0.
        master_port: Its port where the ranks meet; 0 takes a free one, for a run on this machine alone.
    """

    size: int
    devices: tuple[int, ...]
    first: int = 0
    node: int = 0
    table: str = ""
    master_addr: str = "127.0.0.1"
    master_port: int = 0

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
        launcher: As `choose_launcher` returns it; for msrun every machine has as many ranks, numbered in its order.
        device: "Ascend", "GPU" or "CPU".
        ranks: The ranks.
        program: What they run.
    """

    launcher: str
    device: str
    ranks: Ranks
    program: Program


def choose_launcher(device: str, ranks: Ranks, version: tuple[int, int], has_mpirun: bool) -> str:
    """Choose how to start a run.

    Args:
        device: "Ascend", "GPU" or "CPU".
        ranks: The ranks.
        version: Major and minor version of MindSpore.
        has_mpirun: Whether Open MPI's mpirun is installed.

    Returns:
        "single" for one process without a launcher, "table", "mpirun" or "msrun".
    """
    if ranks.size == 1:
        return SINGLE
    if device == "Ascend" and ranks.table and version <= _LAST_WITH_TABLE:
        return TABLE
    if device == "GPU" and has_mpirun and len(ranks.devices) == ranks.size:
        return MPIRUN
    return MSRUN


def mindspore_version() -> tuple[int, int]:
    """Return major and minor version of the installed MindSpore, without importing it.

    Raises:
        ConfigError: It is not installed.
    """
    for package in _PACKAGES:
        try:
            found = re.match(r"(\d+)\.(\d+)", metadata.version(package))
        except metadata.PackageNotFoundError:
            continue
        if found:
            return int(found[1]), int(found[2])
    raise ConfigError(f"{sys.executable} has no MindSpore: install it with {sys.executable} -m pip install mindspore")


def build_commands(launch: Launch, control: Path, environment: Mapping[str, str]) -> list[Command]:
    """Return the commands that start a run.

    Args:
        launch: What is started.
        control: Folder that the launcher and its ranks share, on this machine.
        environment: Environment variables of the launcher.

    Returns:
        One command for each rank, or the one that starts them all.
    """
    ranks = launch.ranks
    environment = {key: value for key, value in environment.items() if key not in _STALE}
    if launch.device == "GPU":
        environment |= cuda_variables(environment)
    if launch.launcher in (SINGLE, TABLE):
        return [
            _rank_command(launch, rank, index, control, environment)
            for rank, index in zip(ranks.names, ranks.devices, strict=True)
        ]
    # Both look python3 up in PATH; any will do, as the first program of a rank changes to the right one.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    if launch.device == "Ascend":
        environment["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(map(str, ranks.devices))
    if launch.launcher == MPIRUN:
        entry = _entry(launch, control)
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        words = ["mpirun", "-n", str(ranks.size), *root, "python3", *entry]
        return [Command(MPIRUN, words, environment, Path.cwd(), control / MPIRUN)]
    return [Command(MSRUN, _msrun_words(launch, control), environment, control, control / MSRUN)]


def _rank_command(launch: Launch, rank: str, index: int, control: Path, environment: Mapping[str, str]) -> Command:
    """Return the command that starts one rank by itself."""
    place = {"RANK_ID": rank, "DEVICE_ID": str(index)}
    if launch.launcher == TABLE:
        place |= {"RANK_SIZE": str(launch.ranks.size), "RANK_TABLE_FILE": launch.ranks.table}
    words = [sys.executable, *_entry(launch, control)]
    return Command(rank, words, {**environment, **place}, Path.cwd(), control / f"start-{rank}")


def _msrun_words(launch: Launch, control: Path) -> list[str]:
    """Return the call of msrun, which starts this machine's ranks and ends; it would kill them all at the first end."""
    ranks = launch.ranks
    options = {
        "worker_num": ranks.size,
        "local_worker_num": len(ranks.devices),
        "node_rank": ranks.node,
        "master_addr": ranks.master_addr,
        "master_port": ranks.master_port or _free_port(),
        "log_dir": control / "logs",
        "join": False,
    }
    words = [
        launch.program.python,
        "-m",
        "mindspore.parallel.cluster.run",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    return [*words, "python3", *_entry(launch, control)]


def _entry(launch: Launch, control: Path) -> list[str]:
    """Return the first program of a rank with its arguments."""
    program = launch.program
    command = [program.python, str(program.script), *program.options]
    place = [str(control), str(Path.cwd()), program.log, str(launch.ranks.node)]
    return [rank_entry.__file__, *place, *command]


def _free_port() -> int:
    """Return a port of this machine that nobody uses, so that two runs do not meet at the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
