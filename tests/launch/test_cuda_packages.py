"""MindSpore's GPU plug-in and the CUDA libraries of requirements-gpu.txt, as far as that goes without a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from src.launch.cuda_packages import cuda_variables
from tests.helpers.launching import MPIRUN, Bench
from tests.helpers.project import ROOT

PLUGIN = "libmindspore_gpu.so.11.6"


@pytest.fixture
def packages(tmp_path) -> Path:
    """Return a folder of packages with two CUDA libraries, which are empty files; it hides real ones."""
    for name in ("__init__.py", "cuda_runtime/lib/libcudart.so.11.0", "cublas/lib/libcublas.so.11"):
        path = tmp_path / "site packages" / "nvidia" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "site packages"


def folders(packages: Path) -> str:
    return f"{packages}/nvidia/cublas/lib:{packages}/nvidia/cuda_runtime/lib"


def print_variables(packages: Path, cuda_home: str = "") -> subprocess.CompletedProcess:
    variables = {"PYTHONPATH": str(packages), "CUDA_HOME": cuda_home, "LD_LIBRARY_PATH": ""}
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "cuda_environment.py"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_libraries_come_before_those_of_the_user(packages, monkeypatch):
    monkeypatch.syspath_prepend(str(packages))
    found = cuda_variables({})
    assert found == {"CUDA_HOME": str(ROOT / "scripts" / "cuda_home"), "LD_LIBRARY_PATH": folders(packages)}
    assert cuda_variables({"LD_LIBRARY_PATH": "/mine"})["LD_LIBRARY_PATH"] == f"{folders(packages)}:/mine"


def test_a_toolkit_of_the_user_counts_instead(packages, monkeypatch):
    monkeypatch.syspath_prepend(str(packages))
    assert cuda_variables({"CUDA_HOME": "/usr/local/cuda-11.6"}) == {}


def test_packages_of_another_cuda_are_left_alone(packages, monkeypatch):
    runtime = packages / "nvidia/cuda_runtime/lib/libcudart.so.11.0"
    runtime.rename(runtime.with_name("libcudart.so.12"))
    monkeypatch.syspath_prepend(str(packages))
    assert cuda_variables({}) == {}


def test_the_scripts_for_gpus_set_them_by_themselves(packages, tmp_path):
    bench = Bench.make(tmp_path)
    variables = {"PYTHONPATH": str(packages), "CUDA_HOME": "", "LD_LIBRARY_PATH": ""}
    bench.write_program("mpirun", MPIRUN)
    several = {**variables, "PATH": f"{bench.folder}{os.pathsep}{os.environ['PATH']}"}
    assert bench.launch("run_train_gpu_fp16.sh", "1", "some data", **variables).wait()[0] == 0
    assert bench.launch("run_eval_gpu.sh", "0", "some data", "my net.ckpt", **variables).wait()[0] == 0
    assert bench.launch("run_train_gpu_fp16.sh", "2", "some data", **several).wait()[0] == 0
    records = bench.records()
    assert len(records) == 4
    for record in records:
        assert record["environment"]["LD_LIBRARY_PATH"] == folders(packages)
        assert record["environment"]["CUDA_HOME"] == str(ROOT / "scripts" / "cuda_home")


def test_other_devices_do_not_see_them(packages, tmp_path):
    bench = Bench.make(tmp_path)
    variables = {"PYTHONPATH": str(packages), "CUDA_HOME": "", "LD_LIBRARY_PATH": ""}
    assert bench.launch("run_eval.sh", "0", "some data", "my net.ckpt", **variables).wait()[0] == 0
    [record] = bench.records()
    assert record["environment"]["LD_LIBRARY_PATH"] == record["environment"]["CUDA_HOME"] == ""


def test_a_shell_takes_them_from_the_command(packages):
    result = print_variables(packages)
    assert (result.returncode, result.stderr) == (0, "")
    shown = subprocess.run(
        ["sh", "-c", f"{result.stdout}\nprintenv CUDA_HOME LD_LIBRARY_PATH"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == [str(ROOT / "scripts" / "cuda_home"), folders(packages)]
    assert print_variables(packages, "/usr/local/cuda-11.6").stdout == ""


def test_a_shell_is_told_that_they_are_not_installed(packages):
    (packages / "nvidia/cuda_runtime/lib/libcudart.so.11.0").unlink()
    result = print_variables(packages)
    assert (result.returncode, result.stdout) == (2, "")
    install = f"{sys.executable} -m pip install -r requirements-gpu.txt"
    assert result.stderr == f"error: {sys.executable} has no CUDA 11 libraries: {install}\n"


def test_nvcc_tells_the_version_of_the_requirements():
    nvcc = ROOT / "scripts" / "cuda_home" / "bin" / "nvcc"
    told = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    required = (ROOT / "requirements-gpu.txt").read_text()
    assert re.search(r", V(\S+)$", told)[1] == re.search(r"nvidia-cuda-runtime-cu11==(\S+)", required)[1]
    assert subprocess.run([nvcc, "a.cu"], capture_output=True, check=False).returncode == 1


def test_mindspore_takes_its_newest_plug_in_by_them(packages, monkeypatch):
    monkeypatch.syspath_prepend(str(packages))
    code = (
        "import mindspore; print(mindspore._c_expression.MSContext.get_instance().load_plugin_error())\n"
        "print(open('/proc/self/maps').read())"  # on a machine with a GPU it is loaded
    )

    def tried(variables: dict[str, str]) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "CUDA_HOME"} | variables
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert PLUGIN not in tried({})
    assert PLUGIN in tried(cuda_variables({}))
