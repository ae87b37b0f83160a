"""The build of the C++ program, and its unit tests."""

from __future__ import annotations

import subprocess

import pytest

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


@pytest.mark.parametrize("options", [["--no-such-option"], ["--out"]])
def test_a_wrong_call_of_the_build_has_status_2(options):
    result = subprocess.run(["bash", SOURCE / "build.sh", *options], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "usage: bash build.sh" in result.stderr
