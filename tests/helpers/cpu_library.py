"""Stand-ins for compilers, and for what they may make, which take no time."""

from __future__ import annotations

import os
import time
from pathlib import Path

from src.cpu.library import build_cpu_library
from src.model_utils.config import Config, parse_config

# In a library, what is done when it is loaded, and what it says of its operators.
LIBRARIES = {
    "that crashes": "__attribute__((constructor)) static void f(void) { __builtin_trap(); }",
    "that ends the process": "void _exit(int); __attribute__((constructor)) static void f(void) { _exit(3); }",
    "that never ends": "__attribute__((constructor)) static void f(void) { for (;;) { } }",
    "without operators": "int other(void) { return 0; }",
    "that computes something else": "int XceptionTry(char *text, long size) { *text = 0; return size > 0; }",
}


def configuration(*words: str) -> Config:
    return parse_config(["--device_target=CPU", *words], lambda device: device)


def build(folder: Path) -> Path | None:
    """Build the library as a run does."""
    return build_cpu_library(configuration(f"--cpu_operators={folder}"))


def write_program(path: Path, text: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def write_compiler(path: Path, made: Path, command: str = "cp") -> Path:
    """Write a compiler that always makes the same, and notes each library in a file beside it."""
    note = f'case "$*" in *" -shared "*) echo "$@" >> "{path}.log";; esac'
    return write_program(path, f'{note}\nfor out; do :; done\n{command} "{made}" "$out"')


def times_run(compiler: Path) -> int:
    log = Path(f"{compiler}.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def give_away(path: Path, monkeypatch) -> None:
    """Let something belong to another user."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)


def is_running(process_file: Path) -> bool:
    """Tell whether the process runs whose number is in a file; one that only waits to be noticed has ended."""
    status = Path(f"/proc/{int(process_file.read_text())}/status")
    for _ in range(100):  # a killed one takes a moment
        try:
            if "(zombie)" in status.read_text():
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.02)
    return True
