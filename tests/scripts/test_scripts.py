"""The scripts: what a wrong call prints, and the quick start from data to table."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from src.checkpoints.weights import save_weights
from src.metadata.metadata import Metadata
from src.Xception import xception
from tests.helpers.cpu_library import write_program
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

QUICKSTART = ROOT / "scripts" / "run_quickstart.sh"


def run(*words: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", *words], cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", ["run_quickstart.sh", "run_tests.sh", "setup_lite.sh"])
def test_help_tells_the_usage(script):
    result = run(ROOT / "scripts" / script, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: bash scripts/{script}")


def test_two_processes_share_the_tests_by_files(request):
    # Without the groups, which pytest-xdist writes behind the names, fixtures are made twice and builds collide.
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@tests/scripts/test_scripts.py")


@pytest.mark.parametrize("words", [["--fast"], ["a", "b"]])
def test_a_wrong_call_of_the_quick_start_prints_the_usage_with_status_2(words):
    result = run(QUICKSTART, *words)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")
    assert result.stderr.splitlines()[-1] == f"quickstart.py: error: unrecognized arguments: {words[-1]}"


def test_a_wrong_call_of_the_set_up_prints_the_usage_with_status_2():
    result = run(ROOT / "scripts" / "setup_lite.sh", "here")
    assert result.returncode == 2
    assert result.stderr.startswith("usage: bash scripts/setup_lite.sh")
    assert result.stderr.splitlines()[-1] == "error: no argument can be given: here"


def set_up_lite_on(machine: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a copy of the set-up as if on another machine, with a Python that says what it is asked for."""
    for name in ("scripts", "ascend310_infer", "bin"):
        (folder / name).mkdir()
    for name in ("setup_lite.sh", "common.sh"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    (folder / "ascend310_infer" / "build.sh").write_text("exit 0\n")
    write_program(folder / "bin" / "uname", f"echo {machine}")
    python = write_program(folder / "bin" / "python", '[ "$1" = -c ] || { echo "$@" >&2; exit 1; }')
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return run(folder / "scripts" / "setup_lite.sh", PATH=path, PYTHON=str(python))


@pytest.mark.parametrize(("machine", "wheels"), [("x86_64", "manylinux1_x86_64"), ("aarch64", "manylinux2014_aarch64")])
def test_the_set_up_takes_the_wheel_for_this_machine(tmp_path, machine, wheels):
    result = set_up_lite_on(machine, tmp_path)
    asked, error = result.stderr.splitlines()
    assert f" --platform {wheels} " in asked and asked.endswith(" mindspore-lite==2.0.0")
    assert error == "error: cannot download mindspore-lite: see pip's message above"


def test_the_set_up_says_where_there_is_no_wheel(tmp_path):
    result = set_up_lite_on("riscv64", tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "error: there is no MindSpore Lite wheel for riscv64, only for x86_64 and aarch64: "
        "set LITE_HOME to a MindSpore Lite built for it\n"
    )


def test_a_python_that_does_not_fit_is_one_line(tmp_path):
    code = f'source "{ROOT}/scripts/common.sh"; ROOT="{tmp_path}"; setup_venv requirements.txt'
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    result = run("-Eeuo", "pipefail", "-c", code, PYTHON=str(tmp_path / "python"))
    assert result.returncode == 2
    assert result.stderr == f"error: PYTHON={tmp_path}/python is not a Python from 3.10 to 3.12\n"


def test_packages_that_cannot_be_installed_are_named():
    code = f'source "{ROOT}/scripts/common.sh"; PATH=; install_packages chromium libjpeg-dev; echo unreached'
    result = run("-Eeuo", "pipefail", "-c", code)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: packages are missing: install chromium libjpeg-dev\n"


def test_the_environment_is_installed_once_and_again_when_the_requirements_change(tmp_path):
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    code = (
        f'source "{ROOT}/scripts/common.sh"; ROOT="{tmp_path}"; setup_venv requirements.txt; "$VENV_PYTHON" --version'
    )

    def install() -> str:
        result = run("-Eeuo", "pipefail", "-c", code)
        assert result.returncode == 0, result.stderr
        return result.stdout

    first, second = install(), install()
    assert "making" in first
    assert "installing requirements.txt" in first
    assert re.fullmatch(r"Python 3\.1[012]\.\d+\n", second)
    (tmp_path / "requirements.txt").write_text("# still nothing\n")
    third = install()
    assert "installing requirements.txt" in third
    assert "making" not in third


def test_the_quick_start_reuses_a_training_and_does_the_rest(tmp_path):
    folder = tmp_path / "quick start"
    digits = Metadata(class_names=tuple("0123456789"), image_size=71)
    save_weights(folder / "model_0" / "Xception-rank0-3_89.ckpt", xception(10), digits)
    (folder / "train.json").write_text('{"seconds": 200, "images": 1438, "classes": 10}\n')
    (folder / "quickstart.json").write_text("{}\n")
    result = run(QUICKSTART, "quick start", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    table = dict(re.findall(r"^(\S.*?) {2,}(.*)$", result.stdout.split("== result\n")[1], re.MULTILINE))
    assert table["training images"] == "1438 in 10 classes"
    assert (table["held-out images"], table["epochs"], table["training seconds"]) == ("359", "3", "200")
    assert re.fullmatch(r"\d+\.\d\d %", table["top-1"])
    assert re.fullmatch(r"\d+\.\d\d %", table["top-5"])
    assert float(table["evaluation seconds"]) > 0
    assert "warning" not in (result.stdout + result.stderr).lower()
    assert (folder / "xception.mindir").stat().st_size > 80e6
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = run(QUICKSTART, "quick start", cwd=tmp_path)
    assert again.stdout.count("reusing") == 4
    assert again.stdout.split("== result\n")[1] == result.stdout.split("== result\n")[1]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_quick_start_trains_and_an_interrupted_one_can_begin_again(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", QUICKSTART, tmp_path / "out"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 240
        while b"epoch: 1 step: 10, loss is " not in (tmp_path / "log").read_bytes():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.5)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "out" / "train.json").exists()
    assert b"warning" not in (tmp_path / "log").read_bytes().lower()
    config = (tmp_path / "out" / "model_0" / "config.yaml").read_text()
    assert "num_classes: 10" in config
