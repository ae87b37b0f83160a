"""Which program the script from model to accuracy runs where its own folder cannot be written."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.cpu_library import write_program
from tests.helpers.infer_script import INPUTS, make_project, make_work, run
from tests.helpers.privilege import drop_privilege

# Builds the stand-in of the project's own folder in another one.
BUILD = """#!/usr/bin/env bash
mkdir -p -- "$2"
cp -- "$(dirname -- "$0")"/stand-in/* "$2"
echo "building in $2"
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A project that this user cannot write to, with sources and no program."""
    project = make_project(tmp_path)
    sources = project / "ascend310_infer"
    (sources / "out").rename(sources / "stand-in")
    (sources / "build.sh").write_text(BUILD)
    (sources / "src").mkdir()
    (sources / "src" / "main.cc").write_text("int main() {}\n")
    sources.chmod(0o555)
    yield project
    for folder in (sources, sources / "out"):
        if folder.exists():
            folder.chmod(0o755)


@pytest.fixture
def work(tmp_path) -> Path:
    return make_work(tmp_path)


@pytest.fixture
def install(project):
    """Puts a program there, with what it was built from, and makes its folder read-only."""

    def install_it(**variables: str) -> Path:
        sources = project / "ascend310_infer"
        sources.chmod(0o755)
        subprocess.run(["cp", "-r", sources / "stand-in", sources / "out"], check=True)
        script = f"ROOT='{project}'; source '{project}/scripts/infer_program.sh'; program_digest"
        environment = {**os.environ, "LITE_HOME": "", "MS_LITE_HOME": "", **variables}
        digest = subprocess.run(["bash", "-c", script], env=environment, check=True, capture_output=True).stdout
        (sources / "out" / "main.sha256").write_bytes(digest)
        for folder in (sources / "out", sources):
            folder.chmod(0o555)
        return sources

    return install_it


def start(project: Path, work: Path, cache: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    variables = {"XDG_CACHE_HOME": str(cache), **variables}
    return run(project, work, *INPUTS, *words, preexec=drop_privilege, **variables)


def built_in(work: Path) -> Path:
    return Path((work / "build.log").read_text().removeprefix("building in ").strip())


def test_a_program_that_is_up_to_date_is_used(project, work, install, tmp_path):
    install()
    result = start(project, work, tmp_path / "cache")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"inference, log in {work}/infer.log\n")
    assert not (work / "build.log").exists()
    assert not (tmp_path / "cache").exists()


def test_a_program_of_other_sources_is_built_in_the_cache(project, work, install, tmp_path):
    sources = install()
    (sources / "src" / "main.cc").write_text("int main() { return 0; }\n")
    result = start(project, work, tmp_path / "cache")
    assert result.returncode == 0, result.stderr
    assert built_in(work).parent == tmp_path / "cache" / "mindspore-xception"


def test_a_program_for_another_runtime_is_built_in_the_cache(project, work, install, tmp_path):
    install(LITE_HOME="/opt/other")
    assert start(project, work, tmp_path / "cache").returncode == 0
    assert built_in(work).is_relative_to(tmp_path / "cache")


def test_a_program_for_another_processor_is_built_in_the_cache(project, work, install, tmp_path):
    write_program(tmp_path / "uname", "echo aarch64")
    install(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert start(project, work, tmp_path / "cache").returncode == 0
    assert built_in(work).is_relative_to(tmp_path / "cache")


def test_without_a_program_it_is_built_in_the_cache_of_the_home_folder(project, work, tmp_path):
    result = start(project, work, Path(), XDG_CACHE_HOME="", HOME=str(tmp_path / "home"))
    assert result.returncode == 0, result.stderr
    assert built_in(work).parent == tmp_path / "home" / ".cache" / "mindspore-xception"


@pytest.mark.parametrize("form", [["--build", "{}"], ["--build={}"]])
def test_a_folder_can_be_given(project, work, tmp_path, form):
    folder = tmp_path / "a build"
    result = start(project, work, tmp_path / "cache", "--device_type", "CPU", *(word.format(folder) for word in form))
    assert result.returncode == 0, result.stderr
    assert built_in(work) == folder
    assert (work / "arguments").read_text().splitlines()[-2:] == ["--device_type", "CPU"]


@pytest.mark.parametrize("form", [["--build", "~/a build"], ["--build=~/a build"]])
def test_a_tilde_that_the_shell_left_is_the_home_folder(project, work, tmp_path, form):
    result = start(project, work, tmp_path / "cache", *form, HOME=str(tmp_path / "home"))
    assert result.returncode == 0, result.stderr
    assert built_in(work) == tmp_path / "home" / "a build"
    assert not (work / "~").exists()


def test_without_a_folder_that_can_be_written_one_line_says_what_to_do(project, work):
    result = start(project, work, Path(), XDG_CACHE_HOME="", HOME="")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: the program cannot be built in {project}/ascend310_infer/out: give a folder that you can write to with"
        " --build\n"
    )
    assert not (work / "build.log").exists()


@pytest.mark.parametrize("variable", ["LITE_HOME", "MS_LITE_HOME"])
def test_a_runtime_that_is_not_there_is_an_error_before_anything_is_moved(project, work, tmp_path, variable):
    (work / "result_Files").mkdir()
    result = start(project, work, tmp_path, **{variable: "/no/such folder"})
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {variable} is not a folder: /no/such folder: set it to an unpacked MindSpore Lite tarball, or unset it"
        "\n"
    )
    assert (work / "result_Files").exists()


def test_two_runs_in_one_folder_do_not_move_each_others_results(project, work, tmp_path):
    (work / "result_Files").mkdir()
    descriptor = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        result = start(project, work, tmp_path)
    finally:
        os.close(descriptor)
    assert result.returncode == 2
    assert result.stderr == (
        f"error: another run works in {work}: wait for its end, or run this one in another folder\n"
    )
    assert (work / "result_Files").exists()
