"""Rank tables, which number the Ascend devices of a distributed run (version 1.0, as hccl_tools writes them)."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from src.launch.machines import is_own_address
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

_NUMBER = re.compile(r"[0-9]{1,6}")  # the tables hold numbers as text


@dataclass(frozen=True)
class Device:
    """One device of a table.

    Args:
        rank: Number of its process among those of all servers, from 0.
        device_id: Its index in its server.
    """

    rank: int
    device_id: int


@dataclass(frozen=True)
class Server:
    """One server of a table.

    Args:
        server_id: Its name, as a rule its IP address.
        devices: Its devices, in the order of their ranks.
    """

    server_id: str
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class RankTable:
    """A table without contradictions.

    Args:
        servers: The servers, in the order of their ranks: those of the first come before those of the second.
    """

    servers: tuple[Server, ...]

    @property
    def size(self) -> int:
        """The number of devices of all servers."""
        return sum(len(server.devices) for server in self.servers)


def read_rank_table(path: str | os.PathLike[str]) -> RankTable:
    """Read a rank table and check that it can start a run.

    Args:
        path: The JSON file.

    Returns:
        The table.

    Raises:
        ConfigError: Something in it is missing or contradicts the rest; names the file and the entry.
        OSError: The file cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return _parse(content)
    except json.JSONDecodeError as error:
        raise ConfigError(f"rank table {path} is not JSON: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"rank table {path} is not JSON: it is no UTF-8 text, or nested too deeply") from error
    except _TableError as error:
        raise ConfigError(f"rank table {path}: {error}") from error
    except ValueError as error:  # Python reads no number of more than some thousand digits
        raise ConfigError(f"rank table {path}: it holds a number with too many digits") from error


def find_own_server(table: RankTable, environment: Mapping[str, str]) -> int:
    """Return which server of a table this machine is.

    Args:
        table: The table.
        environment: Where SERVER_ID may name the server; otherwise it is the one whose server_id is an address of
            this machine. The only server of a table needs neither.

    Returns:
        Its index in `table.servers`.

    Raises:
        ConfigError: No server fits.
    """
    names = [server.server_id for server in table.servers]
    wanted = environment.get("SERVER_ID")
    if wanted is None and len(names) == 1:
        return 0
    for index, name in enumerate(names):
        if name == wanted or (wanted is None and _is_address(name) and is_own_address(name)):
            return index
    reason = "none of these is an address of this machine" if wanted is None else f"SERVER_ID is {wanted}"
    raise ConfigError(
        f"the rank table has the servers {', '.join(names)}, but {reason}: name this one as SERVER_ID=<server_id>"
    )


def main(argv: Sequence[str]) -> None:
    """Check a rank table; `argv` is its path."""
    if len(argv) != 1:
        raise ConfigError("usage: python -m src.launch.rank_table FILE")
    table = read_rank_table(argv[0])
    print(f"{argv[0]}: servers {len(table.servers)}, devices {table.size}")


class _TableError(ValueError):
    """What is wrong, without the file's name."""


def _parse(content: Any) -> RankTable:
    _require(isinstance(content, dict), "it must hold an object with version, server_count and server_list")
    is_older = "group_list" in content and "version" not in content
    _require(not is_older, "it has group_list, as before version 1.0: write it by today's hccl_tools")
    _require(content.get("version") == "1.0", f'version must be "1.0", not {_show(content.get("version"))}')
    status = content.get("status", "completed")
    _require(status == "completed", f'status must be "completed", not {_show(status)}')
    entries = content.get("server_list")
    _require(isinstance(entries, list) and entries, f"server_list must be a list of servers, not {_show(entries)}")
    count = _number(content, "server_count", "the table")
    _require(count == len(entries), f"server_count is {count}, but server_list holds {len(entries)}")
    servers = [_parse_server(entry, f"server_list[{index}]") for index, entry in enumerate(entries)]
    names = [server.server_id for server in servers]
    for index, name in enumerate(names):
        _require(name not in names[:index], f"server_list[{index}]: server_id {_show(name)} is there twice")
    _check_ranks([(device.rank, server.server_id) for server in servers for device in server.devices])
    for index, server in enumerate(servers):
        ranks = [device.rank for device in server.devices]
        _require(
            ranks[-1] - ranks[0] == len(ranks) - 1,
            f"server_list[{index}] ({_show(server.server_id)}): rank_ids {', '.join(map(str, ranks[:8]))} have those "
            f"of another server between them: number the devices server by server",
        )
    return RankTable(tuple(sorted(servers, key=lambda server: server.devices[0].rank)))


def _parse_server(entry: Any, where: str) -> Server:
    _require(isinstance(entry, dict), f"{where} must be an object with server_id and device, not {_show(entry)}")
    name = entry.get("server_id")
    is_name = isinstance(name, str) and name != "" and name.isprintable()
    _require(is_name, f"{where}: server_id must be a text, not {_show(name)}")
    where = f"{where} ({_show(name)})"
    items = entry.get("device")
    _require(isinstance(items, list) and items, f"{where}: device must be a list of devices, not {_show(items)}")
    devices = [_parse_device(item, f"{where}, device[{index}]") for index, item in enumerate(items)]
    for before, after in pairwise(sorted(device.device_id for device in devices)):
        _require(before != after, f"{where}: device_id {after} is there twice")
    return Server(name, tuple(sorted(devices, key=lambda device: device.rank)))


def _parse_device(item: Any, where: str) -> Device:
    _require(isinstance(item, dict), f"{where} must be an object with device_id, device_ip and rank_id")
    address = item.get("device_ip")
    # Devices that are linked inside their server only have an empty address.
    _require(isinstance(address, str), f"{where}: device_ip must be an IP address or empty, not {_show(address)}")
    _require(not address or _is_address(address), f"{where}: device_ip {_show(address)} is no IP address")
    return Device(_number(item, "rank_id", where), _number(item, "device_id", where))


def _check_ranks(ranks: list[tuple[int, str]]) -> None:
    """Check that all ranks from 0 are there once."""
    for expected, (rank, server) in enumerate(sorted(ranks)):
        _require(rank >= expected, f"rank_id {rank} is there twice (server {_show(server)})")
        _require(rank <= expected, f"rank_id {expected} is missing: the ids must run from 0 to {len(ranks) - 1}")


def _number(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise _TableError(f"{where}: {key} must be a number from 0, not {_show(value)}")
    return int(text)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise _TableError(message)


def _show(value: Any) -> str:
    """Return a value as short JSON."""
    if value is None:
        return "missing"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(run_command(main))
