"""The place of a process that a platform has started, one for each device: which rank it is, by which variables."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from src.launch.rank_table import read_rank_table
from src.launch.visible_devices import choose_devices, visible_devices
from src.model_utils.config import ConfigError

_PORT = 8118  # where the processes meet unless MASTER_PORT says otherwise: msrun's own default
_PORTS = 65536


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


def find_place(environment: Mapping[str, str]) -> Place:
    """Return the place of this process among those that a platform has started, one for each device.

    Args:
        environment: With RANK_ID and RANK_SIZE; ASCEND_DEVICE_ID or DEVICE_ID for the device; on several servers
            VC_WORKER_HOSTS and VC_TASK_INDEX, or RANK_TABLE_FILE.

    Raises:
        ConfigError: A variable is missing or contradicts the others, or the rank table does.
    """
    rank, size = number_of(environment, "RANK_ID"), number_of(environment, "RANK_SIZE", 1)
    if rank >= size:
        raise ConfigError(f"RANK_ID is {rank}, but RANK_SIZE is {size}: ranks are numbered from 0")
    name = next((name for name in ("ASCEND_DEVICE_ID", "DEVICE_ID") if name in environment), "")
    if not name:
        raise ConfigError(f"RANK_ID is {rank}, but neither ASCEND_DEVICE_ID nor DEVICE_ID names its device")
    device = number_of(environment, name)
    hosts = named_hosts(environment)
    if len(hosts) > 1:
        if size % len(hosts):
            raise ConfigError(
                f"RANK_SIZE is {size}, but VC_WORKER_HOSTS names {len(hosts)} servers: each needs as many devices"
            )
        # Ranks may be numbered in another order than servers: the first process of the first server, whatever its rank.
        is_first = rank % (size // len(hosts)) == 0 and number_of(environment, "VC_TASK_INDEX") == 0
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
        "MS_SCHED_PORT": str(meeting_port(environment)),
        "DEVICE_ID": str(place.device),
    }


def within_visible(place: Place, device: str, environment: Mapping[str, str]) -> Place:
    """Return a place with its device as an index among those that the process sees.

    Args:
        place: The place.
        device: "Ascend", "GPU" or "CPU".
        environment: Where a variable may show some of the devices alone.

    Raises:
        ConfigError: The device is not among them, or could be two of them.
    """
    visible = visible_devices(device, environment)
    index = choose_devices(device, [place.device], environment, by_number=True)[0]
    name = str(place.device)
    if visible and name in visible.names and visible.names.index(name) != index:
        raise ConfigError(
            f"device {name} is the one of this name or the one of this index of {visible.variable}="
            f"{environment[visible.variable]}: unset that variable, or let it begin with 0"
        )
    return replace(place, device=index)


def named_hosts(environment: Mapping[str, str]) -> list[str]:
    """Return the servers of a job in their order, as far as VC_WORKER_HOSTS names them."""
    return [host.strip() for host in environment.get("VC_WORKER_HOSTS", "").split(",") if host.strip()]


def _host_of_table(environment: Mapping[str, str], size: int) -> str:
    """Return the address of the server of rank 0: this one, unless a rank table has several servers.

    Where there is one server, a table tells nothing, and need not be of a form that is known here.
    """
    path = environment.get("RANK_TABLE_FILE")
    is_single = named_hosts(environment) or environment.get("MA_NUM_HOSTS") == "1"
    if is_single or not path or not Path(path).exists():
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


def meeting_port(environment: Mapping[str, str]) -> int:
    """Return the port where the processes meet."""
    text = environment.get("MASTER_PORT", str(_PORT))
    if not (text.isascii() and text.isdigit() and int(text) < _PORTS):
        raise ConfigError(f"the variable MASTER_PORT must be a number from 0 to {_PORTS - 1}: {text}")
    return int(text)


def number_of(environment: Mapping[str, str], name: str, least: int = 0) -> int:
    """Return a variable that is a number from `least` on; raise ConfigError for any other."""
    text = environment.get(name)
    if text is None or not (text.isascii() and text.isdigit() and int(text) >= least):
        found = "it is not set" if text is None else text
        raise ConfigError(f"the variable {name} must be a number from {least} on: {found}")
    return int(text)
