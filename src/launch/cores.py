"""The cores of this machine, divided among the ranks of a run."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, groupby
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")


def divide_cores(processors: Iterable[int], ranks: int, cpus: Path = _CPUS) -> list[list[int]] | None:
    """Give each rank as many whole cores as the others, near each other.

    Args:
        processors: Numbers of the logical processors to divide.
        ranks: Number of ranks, 1 or more.
        cpus: Where Linux tells which of them are one core.

    Returns:
        The processors of each rank; None where the cores do not divide evenly.
    """
    ordered = sorted(processors, key=lambda processor: (_core(processor, cpus), processor))
    cores = [list(group) for _, group in groupby(ordered, key=lambda processor: _core(processor, cpus))]
    if len(cores) % ranks:
        return None
    each = len(cores) // ranks
    return [sorted(chain.from_iterable(cores[rank * each : (rank + 1) * each])) for rank in range(ranks)]


def _core(processor: int, cpus: Path) -> tuple[int, int, int, int]:
    """Return NUMA node, package, number of the core there, and the processor itself where Linux tells no core."""
    folder = cpus / f"cpu{processor}"
    nodes = [int(path.name[4:]) for path in folder.glob("node[0-9]*")]
    node = min(nodes, default=0)
    try:
        package, core = (int((folder / "topology" / name).read_text()) for name in ("physical_package_id", "core_id"))
    except (OSError, ValueError):
        return node, 0, 0, processor
    return node, package, core, -1
