"""Which launcher starts a run."""

from __future__ import annotations

import pytest

from src.launch.commands import Ranks, choose_launcher


@pytest.mark.parametrize(
    ("device", "size", "table", "version", "has_mpirun", "launcher"),
    [
        ("Ascend", 1, "t", (2, 7), True, "single"),
        ("Ascend", 8, "t", (2, 7), True, "table"),
        ("Ascend", 8, "t", (1, 9), True, "table"),
        ("Ascend", 8, "t", (2, 8), True, "msrun"),
        ("Ascend", 8, "t", (2, 10), False, "msrun"),
        ("Ascend", 8, "", (2, 7), True, "msrun"),
        ("GPU", 8, "", (2, 10), True, "mpirun"),
        ("GPU", 8, "", (2, 10), False, "msrun"),
        ("CPU", 2, "t", (2, 7), True, "msrun"),
    ],
)
def test_the_launcher_depends_on_device_version_and_what_is_installed(
    device, size, table, version, has_mpirun, *, launcher
):
    ranks = Ranks(size, tuple(range(size)), table=table)
    assert choose_launcher(device, ranks, version, has_mpirun) == launcher


def test_gpus_of_several_machines_start_by_msrun():
    assert choose_launcher("GPU", Ranks(8, (0, 1, 2, 3)), (2, 10), True) == "msrun"
