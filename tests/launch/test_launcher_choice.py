"""Which launcher starts a run."""

from __future__ import annotations

import pytest

from src.launch.commands import Ranks, choose_launcher


@pytest.mark.parametrize(
    ("device", "size", "has_mpirun", "launcher"),
    [
        ("Ascend", 1, True, "single"),
        ("Ascend", 8, True, "dynamic cluster"),
        ("GPU", 8, True, "mpirun"),
        ("GPU", 8, False, "dynamic cluster"),
        ("CPU", 2, True, "dynamic cluster"),
    ],
)
def test_the_launcher_depends_on_the_device_and_what_is_installed(device, size, has_mpirun, launcher):
    assert choose_launcher(device, Ranks(size, tuple(range(size))), has_mpirun) == launcher


def test_gpus_of_several_machines_meet_in_the_dynamic_cluster():
    assert choose_launcher("GPU", Ranks(8, (0, 1, 2, 3)), True) == "dynamic cluster"
