"""The cores of a machine, divided among ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.launch.cores import divide_cores


def machine(folder: Path, cores: dict[int, tuple[int, int, int]]) -> Path:
    """Describe a machine as Linux does: NUMA node, package and core of each processor."""
    for processor, (node, package, core) in cores.items():
        topology = folder / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology.parent / f"node{node}").mkdir()
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "core_id").write_text(f"{core}\n")
    return folder


def test_both_threads_of_a_core_go_to_the_same_rank(tmp_path):
    # Two packages of two cores; the second threads are numbered after all the first ones.
    cpus = machine(tmp_path, {number: (number % 4 // 2, number % 4 // 2, number % 2) for number in range(8)})
    assert divide_cores(range(8), 2, cpus) == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert divide_cores(range(8), 4, cpus) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert divide_cores([2, 3, 6, 7], 2, cpus) == [[2, 6], [3, 7]]


def test_a_rank_stays_within_a_numa_node(tmp_path):
    cpus = machine(tmp_path, {number: (number % 2, 0, number) for number in range(8)})
    assert divide_cores(range(8), 2, cpus) == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize(("processors", "ranks"), [(8, 3), (2, 4), (96, 7)])
def test_cores_that_do_not_divide_evenly_are_left_to_all(tmp_path, processors, ranks):
    assert divide_cores(range(processors), ranks, tmp_path) is None


def test_processors_of_which_linux_tells_nothing_are_a_core_each(tmp_path):
    assert divide_cores(range(4), 2, tmp_path) == [[0, 1], [2, 3]]
