"""`pip install .`: the wheel holds what the commands need, and they are the doors."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

DOORS = ("train", "eval", "predict", "export")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
OFFLINE = ("--no-index", "--no-deps")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built in a copy of the tree by the setuptools that is here."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "quickstart", "ascend310_infer")
    shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    build = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "tree")]
    subprocess.run(build, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_program_in_one_folder_of_its_own(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {path for top in ("src", "tools") for path in (ROOT / top).rglob("*") if path.is_file()}
    expected |= {*ROOT.glob("*.py"), *(ROOT / "scripts").glob("*.py"), ROOT / "scripts" / "cuda_home" / "bin" / "nvcc"}
    expected |= {ROOT / "default_config.yaml", *(ROOT / "scripts").glob("*.yaml")}
    kept = [path.relative_to(ROOT) for path in expected if "__pycache__" not in path.parts]
    assert held == {f"mindspore_xception/{path.as_posix()}" for path in kept}


def test_the_installed_commands_are_the_doors(wheel, tmp_path):
    site = tmp_path / "site"
    subprocess.run([*PIP, "install", *OFFLINE, "--target", str(site), str(wheel)], check=True)

    def call(door: str, option: str) -> subprocess.CompletedProcess:
        words = [sys.executable, site / "bin" / f"xception-{door}", option]
        environment = {"PYTHONPATH": str(site)}
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    for door in DOORS:
        result = call(door, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith(f"usage: {door}.py ")
    wrong = call("train", "--no_such_option=1")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ") and "no_such_option" in wrong.stderr
