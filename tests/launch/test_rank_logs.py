"""The logs of ranks where their disk is full."""

from __future__ import annotations

import mmap
import sys

from tests.helpers.launching import Launch
from tests.helpers.mounts import mounted
from tests.helpers.project import ROOT


def test_a_full_disk_costs_the_log_alone_and_is_told(bench):
    folder = bench.work / "disk"
    with mounted(folder, f"-osize={4 * mmap.PAGESIZE}"):
        (folder / "other").write_bytes(bytes(4 * mmap.PAGESIZE))
        script = ROOT / "scripts" / "launch.py"
        words = [sys.executable, script, f"--python={bench.folder}/python", "--door=train.py", "--device_target=CPU"]
        act = "from src.model_utils.command import run_command\n"
        act += "sys.exit(run_command(lambda _: print('loss'), [], prints_results=False))"
        variables = bench.environment(act) | {"PYTHONPATH": str(ROOT)}
        status, output, errors = Launch([*words, "--log=disk/log.txt"], bench.work, variables).wait()
        assert (status, output.count("\n")) == (0, 1)
        assert errors == f"warning: the disk of {folder} is full: what a log there should end with is lost\n"
        assert (folder / "log.txt").read_bytes() == b""
