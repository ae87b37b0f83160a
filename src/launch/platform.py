"""What a door does that a platform has started: joins the processes beside it, or starts the ranks of its server."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.launch.rank_table import read_rank_table
from src.launch.scheduler import go_on_beside_scheduler
from src.model_utils.config import ConfigError, parse_config

_PORT = 8118  # where the processes meet unless MASTER_PORT says otherwise: msrun's own default
_LAUNCHED = ("MS_ROLE", "OMPI_COMM_WORLD_RANK")  # of msrun and mpirun; our launcher sets RANK_ID alone for one rank
_OWN_OPTIONS = {"--is_distributed": False, "--device_id": True}  # and whether a value must follow


@dataclass(frozen=True)
class Place:
    """The place of a process that a platform has started, one for each device.

    Args:
        rank: Its number among all, from 0.
        size: How many there are.
        device: Index of its device among those that it sees.
        host: IP address of the machine where the scheduler runs.
        has_scheduler: Whether it is this process that starts the scheduler.
    """

    rank: int
    size: int
    device: int
    host: str
    has_scheduler: bool


def take_place(door: Path, argv: Sequence[str]) -> Sequence[str]:
    """Make this process a rank of a distributed run, if a platform has started it and no launcher has.

    To be called before MindSpore is imported. Platforms such as ModelArts start a door once for each device, with
    RANK_ID and RANK_SIZE, or once on each server, with MA_NUM_GPUS; what a launcher has started goes on unchanged.

    Args:
        door: The script that runs.
        argv: Its arguments.

    Returns:
        The arguments to go on with. A process for each server becomes the launcher of its ranks and does not return.

    Raises:
        ConfigError: A variable or the rank table is missing or contradicts the rest.
        SystemExit: In the process that has waited for the rank and the scheduler that it has started.
    """
    environment = os.environ
    is_each = "RANK_ID" in environment and "RANK_SIZE" in environment
    is_launched = any(name in environment for name in _LAUNCHED) or ("RANK_ID" in environment and not is_each)
    if is_launched or not (is_each or "MA_NUM_GPUS" in environment) or not {"-h", "--help"}.isdisjoint(argv):
        return argv
    # The device does not matter here, and finding out which there is would import MindSpore.
    config = parse_config(argv, lambda requested: "CPU" if requested == "auto" else requested)
    if not config.is_distributed:
        if is_each and environment["RANK_SIZE"] != "1":
            print(
                f"note: RANK_SIZE is {environment['RANK_SIZE']}, but is_distributed is false: this process works alone",
                file=sys.stderr,
            )
        return argv
    others = _without(argv, _OWN_OPTIONS)
    if not is_each:
        words = launcher_words(door, others, config.device_target, environment)
        if words:
            print("starting the ranks of this server", flush=True)
            os.execv(words[0], words)
        return [*others, "--is_distributed=False"]
    place = find_place(environment)
    others = [*others, f"--device_id={place.device}"]
    if place.size == 1:
        return [*others, "--is_distributed=False"]
    # MindSpore itself no longer starts by rank tables, but reads a variable that is left.
    environment.pop("RANK_TABLE_FILE", None)
    environment.update(cluster_variables(place, environment))
    if place.has_scheduler:
        go_on_beside_scheduler()
    return [*others, "--is_distributed=True"]


def find_place(environment: Mapping[str, str]) -> Place:
    """Return the place of this process among those that a platform has started, one for each device.

    Args:
        environment: With RANK_ID and RANK_SIZE; ASCEND_DEVICE_ID or DEVICE_ID for the device; on several servers
            VC_WORKER_HOSTS and VC_TASK_INDEX, or RANK_TABLE_FILE.

    Raises:
        ConfigError: A variable is missing or contradicts the others, or the rank table does.
    """
    rank, size = _number(environment, "RANK_ID"), _number(environment, "RANK_SIZE", 1)
    if rank >= size:
        raise ConfigError(f"RANK_ID is {rank}, but RANK_SIZE is {size}: ranks are numbered from 0")
    name = next((name for name in ("ASCEND_DEVICE_ID", "DEVICE_ID") if name in environment), "")
    if not name:
        raise ConfigError(f"RANK_ID is {rank}, but neither ASCEND_DEVICE_ID nor DEVICE_ID names its device")
    device = _number(environment, name)
    hosts = _hosts(environment)
    if len(hosts) > 1:
        if size % len(hosts):
            raise ConfigError(
                f"RANK_SIZE is {size}, but VC_WORKER_HOSTS names {len(hosts)} servers: each needs as many devices"
            )
        # Ranks may be numbered in another order than servers: the first process of the first server, whatever its rank.
        is_first = rank % (size // len(hosts)) == 0 and _number(environment, "VC_TASK_INDEX") == 0
        return Place(rank, size, device, _address(hosts[0]), is_first)
    return Place(rank, size, device, _host_of_table(environment, size), rank == 0)


def cluster_variables(place: Place, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which MindSpore's dynamic cluster puts a process in its place.

    Args:
        place: The place.
        environment: Where MASTER_PORT may name the port of the scheduler.
    """
    return {
        "MS_ROLE": "MS_WORKER",
        "MS_WORKER_NUM": str(place.size),
        "MS_NODE_ID": str(place.rank),
        "MS_SCHED_HOST": place.host,
        "MS_SCHED_PORT": str(_number(environment, "MASTER_PORT") if "MASTER_PORT" in environment else _PORT),
        "DEVICE_ID": str(place.device),
    }


def launcher_words(door: Path, options: Sequence[str], device: str, environment: Mapping[str, str]) -> list[str]:
    """Return the call of the launcher that starts the ranks of this server; empty if the run has a single one.

    Args:
        door: The script that each rank runs.
        options: Its options.
        device: As asked for: "auto", "Ascend", "GPU" or "CPU".
        environment: With MA_NUM_GPUS; on several servers with MA_NUM_HOSTS, VC_TASK_INDEX and VC_WORKER_HOSTS.

    Raises:
        ConfigError: A variable is missing or contradicts the others.
    """
    count = _number(environment, "MA_NUM_GPUS", 1)
    nodes = _number(environment, "MA_NUM_HOSTS", 1) if "MA_NUM_HOSTS" in environment else 1
    if count * nodes == 1:
        return []
    words = [
        sys.executable,
        str(Path(__file__).resolve().parents[2] / "scripts" / "launch.py"),
        f"--python={sys.executable}",
        f"--door={door.name}",
        f"--log={door.stem}_parallel{{rank}}/log.txt",
        "--follow",
        f"--device_target={device}",
        f"--device_num={count}",
    ]
    if nodes > 1:
        hosts = _hosts(environment)
        if len(hosts) != nodes:
            raise ConfigError(f"MA_NUM_HOSTS is {nodes}, but VC_WORKER_HOSTS is {environment.get('VC_WORKER_HOSTS')}")
        node = _number(environment, "VC_TASK_INDEX")
        if node >= nodes:
            raise ConfigError(f"VC_TASK_INDEX is {node}, but MA_NUM_HOSTS is {nodes}: servers are numbered from 0")
        words += [f"--node_num={nodes}", f"--node_rank={node}", f"--master_addr={hosts[0]}"]
    if "MASTER_PORT" in environment:
        words.append(f"--master_port={_number(environment, 'MASTER_PORT')}")
    return [*words, "--", *options]


def _hosts(environment: Mapping[str, str]) -> list[str]:
    return [host.strip() for host in environment.get("VC_WORKER_HOSTS", "").split(",") if host.strip()]


def _host_of_table(environment: Mapping[str, str], size: int) -> str:
    """Return the address of the server of rank 0: this one, unless a rank table has several servers."""
    path = environment.get("RANK_TABLE_FILE")
    if not path or not Path(path).exists():
        return "127.0.0.1"
    table = read_rank_table(path)
    if table.size != size:
        raise ConfigError(f"RANK_SIZE is {size}, but rank table {path} has {table.size} devices")
    return _address(table.servers[0].server_id) if len(table.servers) > 1 else "127.0.0.1"


def _address(host: str) -> str:
    """Return the IP address of a machine, which MindSpore asks for."""
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise ConfigError(f"the address of {host}, where the processes meet, is not known: {error}") from error


def _number(environment: Mapping[str, str], name: str, least: int = 0) -> int:
    text = environment.get(name)
    if text is None or not (text.isascii() and text.isdigit() and int(text) >= least):
        found = "it is not set" if text is None else text
        raise ConfigError(f"the variable {name} must be a number from {least} on: {found}")
    return int(text)


def _without(argv: Sequence[str], names: Mapping[str, bool]) -> list[str]:
    """Return arguments without some options and their values."""
    left, is_value = [], False
    for word, following in zip(argv, [*argv[1:], "-"], strict=True):
        if is_value:
            is_value = False
        elif word in names:
            is_value = names[word] or not following.startswith("-")
        elif word.partition("=")[0] not in names:
            left.append(word)
    return left
