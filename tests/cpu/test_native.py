"""The operators in C++ by their own tests, under sanitizers, and for processors with fewer instructions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from src.cpu.library import own_instructions
from tests.helpers.native_tests import missing_for_arm, run_as_arm, run_tests
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

_TESTS = [
    "block_test", "kernels_test", "evaluation_test", "convolution_test", "classifier_test", "thread_pool_test",
    "all_reduce_test",
]  # fmt: skip


def test_they_compute_what_they_should_within_their_memory(tmp_path):
    flags = ["-O1", own_instructions(), "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    # What oneDNN keeps for the process is no leak.
    run_tests(tmp_path, flags, _TESTS, ONEDNN_MAX_CPU_ISA="ALL", ASAN_OPTIONS="detect_leaks=0")


def test_threads_do_not_use_the_same_memory_at_once(tmp_path):
    flags = ["-O1", own_instructions(), "-fsanitize=thread"]
    tests = ["classifier_test", "thread_pool_test", "all_reduce_test"]
    run_tests(tmp_path, flags, tests, ONEDNN_MAX_CPU_ISA="ALL", TSAN_OPTIONS="die_after_fork=0")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the sets of instructions are those of x86-64")
@pytest.mark.parametrize(("processor", "tests"), [("x86-64-v3", _TESTS[:4]), ("x86-64", _TESTS[1:3])])
def test_processors_with_fewer_instructions_compute_the_same(tmp_path, processor, tests):
    run_tests(tmp_path, ["-O2", f"-march={processor}"], tests, ONEDNN_MAX_CPU_ISA="AVX2")


@pytest.mark.skipif(missing_for_arm() != "", reason=f"to compute as ARM does, {missing_for_arm()} is missing")
def test_arm_processors_compute_the_same(tmp_path):
    """With AARCH64_ONEDNN, libdnnl.so.3 of MindSpore's package for ARM, whatever the emulator can run (no forks)."""
    onednn = os.environ.get("AARCH64_ONEDNN")
    tests = [test for test in _TESTS if test != "classifier_test"] if onednn else ["kernels_test", "thread_pool_test"]
    run_as_arm(tmp_path, tests, Path(onednn) if onednn else None)


@pytest.mark.parametrize(("version", "runtime"), [("3, 11, 0", 8), ("4, 10, 0", 8), ("3, 10, 1", 2)])
def test_another_onednn_is_told_and_not_used(library, tmp_path, version, runtime):
    (tmp_path / "other.c").write_text(
        "struct version { int major, minor, patch; const char *hash; unsigned cpu, gpu; };\n"
        f'static struct version other = {{{version}, "", {runtime}, 0}};\n'
        "const struct version *dnnl_version(void) { return &other; }\n"
    )
    other = tmp_path / "other.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "other.c", "-o", other], check=True)
    command = [sys.executable, ROOT / "src" / "cpu" / "trial.py", library]
    result = subprocess.run(
        command, env={**os.environ, "LD_PRELOAD": str(other)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"oneDNN here is {version.replace(', ', '.')}, but only 3.10 with a thread pool")
    assert result.stderr.count("\n") == 1
