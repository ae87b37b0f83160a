"""What a benchmark compares, and the commands that start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """A workload by a checkout of the project on a device: one of those that are compared.

    Args:
        name: Its name among those that it is compared with.
        workload: Its name, as build_workload takes it.
        root: Folder of the checkout.
        options: Options for every process of it.
        images: Images in a pass, over all ranks.
        passes: Passes over them in a round.
        ranks: Number of processes.
        device: "auto", "Ascend", "GPU" or "CPU".
    """

    name: str
    workload: str
    root: Path
    options: Sequence[str]
    images: int
    passes: int = 1
    ranks: int = 1
    device: str = "auto"

    def command(self, port: int = 0) -> list[str]:
        """Return the command that starts it; `port` is where it is waited for."""
        door = "tools/benchmarks/worker.py"
        words = [f"--task={self.workload}", f"--images={self.images}", f"--passes={self.passes}"]
        words += [f"--port={port}", f"--ranks={self.ranks}", *self.options]
        if self.ranks == 1:
            return [sys.executable, str(self.root / door), f"--device_target={self.device}", *words]
        launch = [sys.executable, str(self.root / "scripts/launch.py"), f"--python={sys.executable}", f"--door={door}"]
        launch += [
            "--dynamic_cluster",
            f"--device_target={self.device}",
            f"--device_num={self.ranks}",
            "--log=rank{rank}.log",
        ]
        return [*launch, "--", *words]


def run_to_end(variant: Variant, folder: Path) -> None:
    """Run a variant that ends by itself, with its logs in a folder; raise ValueError with what it said if it fails."""
    folder.mkdir(parents=True)
    result = subprocess.run(variant.command(), cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"{variant.workload} has failed: {said[-1]}")
