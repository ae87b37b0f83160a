"""scripts/run_infer_310.sh in a copy of the project, with stand-ins in the place of the build and the C++ program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.helpers.project import ROOT

# Writes what the C++ program would of two images: the first is class 0, the second class 1; and its arguments.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$@" >arguments
echo "found 2 images"
mkdir -p result_Files time_Result
cp "$(dirname "$0")"/*.bin result_Files
"""
BUILD = """#!/usr/bin/env bash
echo "building in $(dirname -- "$0")"
"""
INPUTS = ["my net.mindir", "some data", "my labels.txt"]


def make_project(folder: Path) -> Path:
    """Make a copy of the project in a folder with a space, where a stand-in is built."""
    project = folder / "my project"
    for name in ("src", "scripts"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("postprocess.py", "default_config.yaml"):
        shutil.copy(ROOT / name, project)
    out = project / "ascend310_infer" / "out"
    out.mkdir(parents=True)
    (out.parent / "build.sh").write_text(BUILD)
    write_program(out)
    return project


def write_program(out: Path) -> None:
    """Write the stand-in and the results that it gives out."""
    out.mkdir(exist_ok=True)
    (out / "main").write_text(PROGRAM)
    (out / "main").chmod(0o755)
    for label, name in enumerate(("a__x", "b__y")):
        (out / f"{name}_0.bin").write_bytes(np.eye(2, dtype="<f4")[label].tobytes())


def make_work(folder: Path) -> Path:
    """Make the current folder of a run, with a model, images and labels."""
    work = folder / "my work"
    (work / "some data" / "a").mkdir(parents=True)
    (work / "my net.mindir").touch()
    (work / "my labels.txt").write_text("a/x.jpg:0\nb/y.jpg:0\n")
    return work


def run(project: Path, work: Path, *words: str, preexec=None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script; `preexec` is called in its process before."""
    environment = {**os.environ, "LITE_HOME": "", "MS_LITE_HOME": "", "PYTHON": sys.executable, **variables}
    command = ["bash", str(project / "scripts" / "run_infer_310.sh"), *words]
    return subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False, preexec_fn=preexec
    )
