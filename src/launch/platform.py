"""What a door does that a platform has started: joins the processes beside it, or starts the ranks of its server."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.launch.place import cluster_variables, find_place, meeting_port, named_hosts, number_of, within_visible
from src.launch.scheduler import go_on_beside_scheduler
from src.model_utils.config import ConfigError, parse_config

_LAUNCHED = ("MS_ROLE", "OMPI_COMM_WORLD_RANK")  # of msrun and mpirun; our launcher sets RANK_ID alone for one rank
_OWN_OPTIONS = {"--is_distributed": False, "--device_id": True}  # and whether a value must follow


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
    environment = {name: value for name, value in os.environ.items() if value}  # an empty one is not set
    is_each = "RANK_ID" in environment and "RANK_SIZE" in environment
    is_launched = any(name in environment for name in _LAUNCHED) or ("RANK_ID" in environment and not is_each)
    if is_launched or not (is_each or "MA_NUM_GPUS" in environment) or not {"-h", "--help"}.isdisjoint(argv):
        return argv
    is_distributed, device = _asked_for(argv)
    if not is_distributed:
        if is_each and environment["RANK_SIZE"] != "1":
            print(
                f"note: RANK_SIZE is {environment['RANK_SIZE']}, but is_distributed is false: this process works alone",
                file=sys.stderr,
            )
        return argv
    others = _without(argv, _OWN_OPTIONS)
    if not is_each:
        words = launcher_words(door, others, device, environment)
        if words:
            print("starting the ranks of this server", flush=True)
            os.execv(words[0], words)
        return [*others, "--is_distributed=False"]
    # Processes for each card are started for Ascend cards.
    place = within_visible(find_place(environment), "Ascend" if device == "auto" else device, environment)
    others = [*others, f"--device_id={place.device}"]
    if place.size == 1:
        return [*others, "--is_distributed=False"]
    # MindSpore itself no longer starts by rank tables, but reads a variable that is left.
    os.environ.pop("RANK_TABLE_FILE", None)
    os.environ.update(cluster_variables(place, environment))
    if place.has_scheduler:
        go_on_beside_scheduler()
    return [*others, "--is_distributed=True"]


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
    count = number_of(environment, "MA_NUM_GPUS", 1)
    nodes = number_of(environment, "MA_NUM_HOSTS", 1) if "MA_NUM_HOSTS" in environment else 1
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
        hosts = named_hosts(environment)
        if len(hosts) != nodes:
            raise ConfigError(f"MA_NUM_HOSTS is {nodes}, but VC_WORKER_HOSTS is {environment.get('VC_WORKER_HOSTS')}")
        node = number_of(environment, "VC_TASK_INDEX")
        if node >= nodes:
            raise ConfigError(f"VC_TASK_INDEX is {node}, but MA_NUM_HOSTS is {nodes}: servers are numbered from 0")
        words += [f"--node_num={nodes}", f"--node_rank={node}", f"--master_addr={hosts[0]}"]
    if "MASTER_PORT" in environment:
        words.append(f"--master_port={meeting_port(environment)}")
    return [*words, "--", *options]


def _asked_for(argv: Sequence[str]) -> tuple[bool, str]:
    """Return whether a run is distributed, and its device as asked for: looking which there is imports MindSpore."""
    asked = []

    def keep(requested: str) -> str:
        asked.append(requested)
        return "CPU" if requested == "auto" else requested

    # What there is to be noted, the door says itself.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        config = parse_config(argv, keep)
    return config.is_distributed, asked[0]


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
