"""Which MindSpore runtime the C++ program is built against, and that it runs with the layout of every kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.inference import PROGRAM, SOURCE, Flat, build, run_program, write_model
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

WHEEL = ROOT / ".lite" / "mindspore_lite"
# Where the tarball has the libraries that are not in runtime/lib.
TARBALL_FOLDERS = {
    "libdnnl": "runtime/third_party/dnnl",
    "libmindspore_glog": "runtime/third_party/glog",
    "libmindspore_converter": "tools/converter/lib",
    "libmslite_converter": "tools/converter/lib",
    "libopencv": "tools/converter/lib",
}
VARIABLES = ("LITE_HOME", "MS_LITE_HOME")
# Nothing is compiled: finding a runtime takes no compiler.
PROJECT = f"""cmake_minimum_required(VERSION 3.14)
project(search NONE)
include({SOURCE}/cmake/FindMindSpore.cmake)
message("found ${{MINDSPORE_ROOT}} ${{MINDSPORE_LIBRARY}} ${{MINDSPORE_IS_LITE}}")
"""


@pytest.fixture
def places(tmp_path) -> dict[str, tuple[Path, str]]:
    """The folder with include/ and the library's name of a runtime of every kind, in the order of the search."""
    return {
        "LITE_HOME": (tmp_path / "lite 1" / "runtime", "libmindspore-lite.so"),
        "MS_LITE_HOME": (tmp_path / "lite 2" / "runtime", "libmindspore-lite.so"),
        "wheel": (tmp_path / ".lite" / "mindspore_lite", "libmindspore-extendrt_python.so"),
        "package": (tmp_path / "python" / "mindspore", "libmindspore.so"),
    }


@pytest.fixture
def search(tmp_path, places):
    """Searches as the build does, with the variables set that are named, in this search and all later ones."""
    source = tmp_path / "ascend310_infer"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "python" / "mindspore").mkdir(parents=True)
    (tmp_path / "python" / "mindspore" / "__init__.py").touch()
    environment = {
        **{name: value for name, value in os.environ.items() if name not in VARIABLES},
        "PYTHONPATH": str(tmp_path / "python"),
    }

    def run(*variables: str) -> subprocess.CompletedProcess[str]:
        for name in variables:
            environment[name] = str(places[name][0].parent)
        command = ["cmake", "-S", source, "-B", tmp_path / "out"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def lay_out(root: Path, library: str) -> None:
    for path in (root / "include" / "api" / "model.h", root / "lib" / library):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_first_runtime_that_is_there_is_taken(search, places):
    """From the last place to the first, in one build folder: each time the new one wins."""
    for name, (root, library) in reversed(places.items()):
        lay_out(root, library)
        result = search(*{name} & set(VARIABLES))
        assert result.returncode == 0, result.stderr
        is_lite = "OFF" if library == "libmindspore.so" else "ON"
        assert f"found {root} {root}/lib/{library} {is_lite}" in result.stderr.splitlines()


@pytest.mark.parametrize("half", ["include", "lib"])
def test_a_runtime_without_headers_or_library_is_passed_over(search, places, half):
    for place in ("wheel", "package"):
        lay_out(*places[place])
    shutil.rmtree(places["wheel"][0] / half)
    result = search()
    assert result.returncode == 0, result.stderr
    assert f"found {places['package'][0]} " in result.stderr


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("missing", ["include", "lib", ""])
def test_a_runtime_that_is_named_and_not_there_is_no_other_one(search, places, variable, missing):
    for root, library in places.values():
        lay_out(root, library)
    root = places[variable][0]
    shutil.rmtree(root / missing)
    result = search(variable)
    assert result.returncode == 1
    assert f"Set {variable} to an unpacked MindSpore Lite tarball, or unset it" in " ".join(result.stderr.split())
    assert [line.strip() for line in result.stderr.splitlines() if line.endswith("/runtime")] == [str(root)]
    assert "package" not in result.stderr


def test_a_search_in_vain_says_where_it_looked(search, places):
    result = search()
    assert result.returncode == 1
    lines = [line.strip() for line in result.stderr.splitlines()]
    package = lines.index(str(places["package"][0]))
    wheel = next(number for number, line in enumerate(lines) if line.endswith("/../.lite/mindspore_lite"))
    assert wheel < package
    text = " ".join(lines)
    assert "no MindSpore runtime with a C++ interface found" in text
    for name in ("include/api/model.h", "libmindspore-lite.so", "libmindspore-extendrt_python.so", "libmindspore.so"):
        assert name in text
    assert "Set LITE_HOME to a MindSpore Lite tarball, or run scripts/setup_lite.sh" in text


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("flat") / "flat.mindir", Flat(), (1, 3, 8, 8))


@pytest.fixture(scope="module")
def tarball(built, tmp_path_factory):
    """MindSpore Lite as its tarball has it, unpacked; afterwards the program is that of the other tests again."""
    folder = tmp_path_factory.mktemp("home") / "mindspore-lite-2.0.0-linux-x64"
    for library in (WHEEL / "lib").iterdir():
        place = next((place for name, place in TARBALL_FOLDERS.items() if library.name.startswith(name)), "runtime/lib")
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / library.name).symlink_to(library)
    (folder / "runtime" / "lib" / "libmindspore-lite.so").symlink_to("libmindspore-extendrt_python.so")
    (folder / "runtime" / "include").symlink_to(WHEEL / "include")
    yield folder
    build("-DBUILD_TOOLS=ON")


@pytest.mark.parametrize("variable", ["LITE_HOME", "MS_LITE_HOME"])
def test_the_program_runs_with_the_lite_tarball(tarball, model, tmp_path, variable):
    said = build("-DBUILD_TOOLS=ON", **{variable: str(tarball)})
    assert f"-- MindSpore runtime: {tarball}/runtime/lib/libmindspore-lite.so" in said.splitlines()
    libraries = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert "not found" not in libraries
    for place in {"runtime/lib", *TARBALL_FOLDERS.values()}:
        assert f"=> {tarball}/{place}/" in libraries.replace("runtime/../tools", "tools")
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(images / "red.png")
    result = run_program(model, images, tmp_path)
    assert result.returncode == 0, result.stderr
    logits = np.fromfile(tmp_path / "result_Files" / "red_0.bin", np.float32).reshape(3, 64)
    assert logits.tolist() == [[1.0] * 64, [-1.0] * 64, [-1.0] * 64]


def test_the_code_for_the_main_package_compiles(built):
    """The package is too large to get here, but its headers are those of Lite: they differ in what works."""
    command = ["c++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE / 'inc'}"]
    command += ["-isystem", WHEEL, "-isystem", WHEEL / "include", "-isystem", "/usr/include/opencv4"]
    command += [SOURCE / "src" / "model_runner.cc"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
