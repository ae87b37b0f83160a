"""Two or more machines on one: network namespaces that a bridge joins, and whose cables can be cut."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest


def ip(*words: str) -> str:
    """Run the program of that name; return what it prints on stderr if it fails, nothing if it succeeds."""
    try:
        result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "the program ip is not installed"
    return "" if result.returncode == 0 else result.stderr.strip() or f"status {result.returncode}"


class Network:
    """Machines 10.77.0.1, 10.77.0.2 and so on.

    Args:
        names: Their namespaces.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def on(self, number: int) -> list[str]:
        """Return the words that run a command on a machine, numbered from 0."""
        return ["ip", "netns", "exec", self._names[number]]

    def cut(self, number: int) -> None:
        """Pull the cable of a machine out, on the side of the others: it does not notice that by itself."""
        assert not ip("-n", self._names[-1], "link", "set", f"port{number}", "nomaster")
        for name in self._names[:-1]:  # they would forget by themselves in half a minute who was where
            ip("-n", name, "neigh", "flush", "dev", "cable")


@contextmanager
def network(count: int) -> Iterator[Network]:
    """Make machines for a block; the test is skipped where that is not allowed."""
    mark = uuid.uuid4().hex[:8]
    names = [f"xception-{mark}-{number}" for number in (*range(count), "bridge")]
    with ExitStack() as stack:
        for name in names:
            problem = ip("netns", "add", name)
            if problem:
                pytest.skip(f"network namespaces cannot be made here: {problem}")
            stack.callback(ip, "netns", "del", name)
        bridge = names[-1]
        steps = [
            ["-n", bridge, "link", "add", "bridge", "type", "bridge"],
            ["-n", bridge, "link", "set", "bridge", "up"],
        ]
        for number, name in enumerate(names[:-1]):
            port = f"port{number}"
            steps += [
                ["link", "add", port, "netns", bridge, "type", "veth", "peer", "name", "cable", "netns", name],
                ["-n", bridge, "link", "set", port, "master", "bridge", "up"],
                ["-n", name, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "cable"],
                ["-n", name, "link", "set", "cable", "up"],
                ["-n", name, "link", "set", "lo", "up"],
            ]
        for step in steps:
            problem = ip(*step)
            if problem:
                pytest.skip(f"network namespaces cannot be joined here: ip {' '.join(step)}: {problem}")
        yield Network(names)
