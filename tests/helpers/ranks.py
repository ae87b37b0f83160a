"""Programs on several ranks, started by msrun."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.helpers.project import ROOT

BIN = Path(sys.executable).parent  # where msrun looks for the ranks' Python too, if it is first in PATH


def msrun(script: str, words: list, cwd: Path, log: str = "log") -> list[str]:
    """Return the command that starts two ranks on a port of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        "env", f"PATH={BIN}{os.pathsep}{os.environ['PATH']}", BIN / "msrun", "--worker_num=2", "--local_worker_num=2",
        "--join=True", f"--master_port={port}",
        f"--log_dir={cwd / log}", ROOT / script, *map(str, words),
    ]  # fmt: skip


def run_ranks(script: str, words: list, cwd: Path) -> list[str]:
    """Run two ranks to their end; return the output of each."""
    result = subprocess.run(
        msrun(script, words, cwd), cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    logs = [(cwd / "log" / f"worker_{rank}.log").read_text() for rank in range(2)]
    assert result.returncode == 0, "\n".join(logs) + result.stderr
    return logs
