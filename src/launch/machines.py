"""The other machines of a run: noted while they are connected, and asked whether they answer when a rank has failed."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_ESTABLISHED, _LISTENING = "01", "0A"  # states in /proc/net/tcp
_CONNECT_SECONDS = 10.0  # Linux takes eight to give up an address of its own network that it has known before
_MOST_AT_ONCE = 64
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


@dataclass(frozen=True)
class _Place:
    """An address and port of another machine.

    Args:
        address: IPv4 or IPv6 address.
        port: Its TCP port.
        is_served: Whether somebody listened there: a wall may let nobody come to other ports.
    """

    address: str
    port: int
    is_served: bool


class OtherMachines:
    """What is known of the machines that the ranks of this one are connected to.

    Args:
        master: Address or name, and port, where all ranks meet, if that is another machine; else None.
    """

    def __init__(self, master: tuple[str, int] | None) -> None:
        self._master = _Place(*master, is_served=True) if master else None
        self._places: set[_Place] = set()

    def note(self, processes: Iterable[int]) -> None:
        """Note the machines that processes of this one are connected to.

        Args:
            processes: Ids of ranks and the scheduler; one that has ended is passed over.
        """
        inodes = {inode for process in processes for inode in _sockets(process)}
        connections = [line for line in _connections() if line.inode in inodes]
        served = {line.local[1] for line in connections if line.state == _LISTENING}
        for line in connections:
            if line.state == _ESTABLISHED and not is_own_address(line.remote[0]):
                self._places.add(_Place(*line.remote, is_served=line.local[1] not in served))

    def silent(self) -> dict[str, str]:
        """Return the machines that do not answer, and why not for people; takes some seconds if there are any."""
        places = sorted(self._places, key=lambda place: (place.address, place.is_served, place.port))
        if not places and self._master:
            places = [self._master]  # it was never reached
        with ThreadPoolExecutor(_MOST_AT_ONCE) as threads:
            problems = list(zip(places, threads.map(_problem, places), strict=True))
        answering = {place.address for place, problem in problems if problem == ""}
        return {place.address: problem for place, problem in problems if problem and place.address not in answering}


def is_own_address(address: str) -> bool:
    """Tell whether an IP address is one of this machine's: only those can be bound."""
    with contextlib.suppress(OSError):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            return True
    return False


@dataclass(frozen=True)
class _Connection:
    """A line of /proc/net/tcp."""

    local: tuple[str, int]
    remote: tuple[str, int]
    state: str
    inode: str


def _sockets(process: int) -> set[str]:
    """Return the inodes of the sockets of a process."""
    found = set()
    with contextlib.suppress(OSError):  # it has ended, or ends
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
                if match:
                    found.add(match[1])
    return found


def _connections() -> list[_Connection]:
    """Return all TCP sockets of this machine."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                found.append(_Connection(_parse(fields[1]), _parse(fields[2]), fields[3], fields[9]))
    return found


def _parse(text: str) -> tuple[str, int]:
    """Return an address and port as /proc shows them: words of four bytes in the order of this machine."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(words))
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(found), int(port, 16)


def _problem(place: _Place) -> str | None:
    """Return why a machine does not answer at a place, empty if it does, and None if that cannot be told."""
    try:
        socket.create_connection((place.address, place.port), timeout=_CONNECT_SECONDS).close()
    except ConnectionError:
        return ""  # a refusal is an answer
    except TimeoutError:
        return "timed out" if place.is_served else None
    except OSError as error:
        return (error.strerror or str(error)).lower() if place.is_served or error.errno in _UNREACHABLE else None
    return ""
