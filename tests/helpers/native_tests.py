"""Build and run the tests in C++ of the operators in C++."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from tests.helpers.project import ROOT

_NATIVE = ROOT / "src" / "cpu" / "native"
_PROFILE = _NATIVE / "profile.cc"  # of which the kernels tell how long they take
_TESTS = ROOT / "tests" / "cpu"
_CROSS_COMPILER, _EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
_FLAGS = ("-std=c++17", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-D_GLIBCXX_ASSERTIONS")


def missing_for_arm() -> str:
    """Return what this machine lacks to compile for ARM and to run that, nothing if it has both."""
    return " and ".join(program for program in (_CROSS_COMPILER, _EMULATOR) if not shutil.which(program))


def run_as_arm(folder: Path, tests: list[str], onednn: Path | None = None) -> None:
    """Build each of some tests for ARM, run it emulated, and fail with what it says.

    Args:
        folder: Where to build them.
        tests: Their names; without oneDNN, those that use none.
        onednn: MindSpore's oneDNN for ARM.
    """
    sources = [path for path in sorted(_NATIVE.glob("*.cc")) if path.stem != "operators"] if onednn else [_PROFILE]
    options = [*_FLAGS, "-O2", f"-I{_NATIVE}", f"-I{_TESTS}"]
    emulator = [_EMULATOR, "-L", "/usr/aarch64-linux-gnu"]  # where the cross compiler has the C library
    link = [onednn] if onednn else []
    if onednn:
        emulator += ["-E", f"LD_LIBRARY_PATH={onednn.parent}"]
    for test in tests:
        command = [_CROSS_COMPILER, *options, _TESTS / f"{test}.cc", *sources, *link, "-o", folder / test]
        subprocess.run(command, check=True)
        result = subprocess.run([*emulator, folder / test], capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{test}: {result.stdout[-5000:]}{result.stderr[-5000:]}"


def onednn() -> Path:
    found = importlib.util.find_spec("mindspore")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("lib") / "libdnnl.so.3"


def compile_objects(flags: list[str], sources: list[Path]) -> list[Path]:
    """Compile sources, two at a time, and return what has been made beside them, in their order."""
    waiting = list(sources)
    running: list[subprocess.Popen] = []
    while waiting or running:
        while waiting and len(running) < 2:
            source = waiting.pop(0)
            options = [*_FLAGS, *flags, f"-I{_NATIVE}", f"-I{_TESTS}"]
            command: list[str | Path] = ["c++", *options, "-c", source, "-o", source.with_suffix(".o")]
            running.append(subprocess.Popen(command))
        assert running.pop(0).wait() == 0
    return [source.with_suffix(".o") for source in sources]


def unity(folder: Path, name: str, sources: list[Path]) -> Path:
    """Write a source that includes others, so that their headers are compiled once."""
    path = folder / f"{name}.cc"
    path.write_text("".join(f'#include "{source}"\n' for source in sources))
    return path


def run_tests(folder: Path, flags: list[str], tests: list[str], **variables: str) -> None:
    """Build each of some tests with the sources that they need, run it, and fail with what it says."""
    needed = unity(folder, "sources", [path for path in sorted(_NATIVE.glob("*.cc")) if path.stem != "operators"])
    mains = [unity(folder, test, [_TESTS / f"{test}.cc"]) for test in tests]
    sources, *objects = compile_objects(flags, [needed, *mains])
    for test, made in zip(tests, objects, strict=True):
        link: list[str | Path] = [onednn(), "-Xlinker", "-rpath", "-Xlinker", onednn().parent, "-o", folder / test]
        subprocess.run(["c++", "-pthread", *flags, made, sources, *link], check=True)
        result = subprocess.run(
            [folder / test], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{test} {flags}: {result.stdout[-5000:]}{result.stderr[-5000:]}"
