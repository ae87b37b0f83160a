"""What Windows and macOS lack is asked for where it is used, not when a module is imported."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.project import ROOT

# MindSpore and the libraries come first: they have packages of their own for each system.
CODE = """
import importlib, os, signal, sys
import matplotlib.pyplot, mindspore, multiprocessing, concurrent.futures, numpy, PIL.Image, subprocess

for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK"):
    delattr(signal, name)
for name in (
    "fork", "getuid", "geteuid", "killpg", "setsid", "pread", "pwrite", "sched_getaffinity", "sched_setaffinity",
    "sync", "fchdir", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "WNOHANG",
):
    delattr(os, name)
sys.platform = "win32"
failed = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
assert not failed, failed

from pathlib import Path
from src.common.folder_lock import only_writer
from src.common.workers import available_workers
from src.data.image_check import check_image
from src.training.stop import StopSignal

with StopSignal() as stop, only_writer(Path("written"), "another training", "choose another folder"):
    stop.catch()
    signal.raise_signal(signal.SIGTERM)
    assert stop.received == signal.SIGTERM
PIL.Image.new("RGB", (90, 80)).save("good.jpg")
Path("bad.jpg").write_bytes(Path("good.jpg").read_bytes()[:400])
assert check_image(Path("good.jpg")) == "" and check_image(Path("bad.jpg")), check_image(Path("good.jpg"))
assert sorted(os.listdir()) == ["bad.jpg", "good.jpg", "written"]
assert available_workers() == os.cpu_count()
print("imported", len(sys.argv) - 1)
"""


def test_every_module_can_be_imported_and_training_stops_in_good_order_without_what_only_unix_has(tmp_path):
    files = [path for top in ("src", "tools", "scripts") for path in (ROOT / top).rglob("*.py")]
    files = [path for path in files if not path.name.startswith("torch_")]  # they import PyTorch, which is optional
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (*files, *ROOT.glob("*.py"))]
    result = subprocess.run(
        [sys.executable, "-c", CODE, *names],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"imported {len(names)}\n"
