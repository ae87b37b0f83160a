"""The build of the C++ program, and its unit tests."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.helpers.cpu_library import write_program
from tests.helpers.inference import SOURCE, build

pytestmark = pytest.mark.slow


def test_the_unit_tests_and_the_fuzzing_pass_under_the_sanitizers():
    # A few large sources have the headers compiled a few times: this takes half the time.
    unity = ("-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=14")
    build("--out", SOURCE / "out-sanitized", "--no-app", "--sanitize", "--tests", *unity)


def test_two_builds_of_one_folder_wait_for_each_other(tmp_path):
    command = ["bash", SOURCE / "build.sh", "--out", tmp_path / "a folder", "--no-app"]
    builds = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    printed = [build.communicate()[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], "\n".join(printed)
    # The one that came second had nothing left to compile.
    assert sorted("Building CXX object" in text for text in printed) == [False, True]


def test_what_another_machine_has_built_in_the_same_folder_is_built_anew(tmp_path):
    write_program(tmp_path / "cmake", 'ls "$4/CMakeCache.txt"; [ "$3" != -B ] || touch "$4/CMakeCache.txt"')
    write_program(tmp_path / "uname", f'cat "{tmp_path}/machine"')

    def finds_a_build_on(machine: str) -> bool:
        (tmp_path / "machine").write_text(machine)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CXX": "true"}
        printed = build("--out", tmp_path / "out", "--no-app", **environment)
        return f"{tmp_path}/out/CMakeCache.txt\n" in printed

    machines = ["x86_64", "x86_64", "aarch64", "aarch64"]
    assert [finds_a_build_on(machine) for machine in machines] == [False, True, False, True]


@pytest.mark.parametrize("options", [["--no-such-option"], ["--out"], ["--aarch64"], ["--aarch64", "/no/such/folder"]])
def test_a_wrong_call_of_the_build_has_status_2(options):
    result = subprocess.run(["bash", SOURCE / "build.sh", *options], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "usage: bash build.sh" in result.stderr
