#!/usr/bin/env bash
# Sets up .venv with the requirements of development and of the weight conversion's tests, and MindSpore Lite for the C++ program, then runs the linters, the type check and every test.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    echo "usage: bash scripts/run_tests.sh [options for pytest]"
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
answer_help "${1:-}" # of the other words pytest makes what it will
export PIP_NO_COMPILE=0 # which turns --no-compile on: of the modules most are never imported
setup_venv requirements-dev.txt requirements-convert-test.txt
"$VENV_PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps \
    -r "$ROOT/requirements-convert-test-no-deps.txt" || die 1 "installation failed: see pip's message above"
cd "$ROOT"
bin="$ROOT/.venv/bin"

"$bin/ruff" check .
"$bin/ruff" format --check .
shellcheck="$bin/shellcheck"
if [[ ! -x "$shellcheck" ]]; then # pip has none for this processor
    shellcheck=shellcheck
    command -v shellcheck >/dev/null || install_packages shellcheck
fi
"$shellcheck" -x scripts/*.sh scripts/cuda_home/bin/nvcc ascend310_infer/*.sh .ci/run
"$bin/mypy" & # beside what waits for downloads
types=$!
bash scripts/setup_lite.sh
wait "$types"
if ! command -v chromium chromium-browser google-chrome chrome >/dev/null; then
    # In a process of its own, as the rest can go on without it.
    (install_packages chromium) || printf 'without Chromium or Chrome, the test that shows report.html is skipped\n' >&2
fi
if [[ "$(uname -m)" != aarch64 ]] && ! { command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64; } >/dev/null; then
    (install_packages g++-aarch64-linux-gnu qemu-user) ||
        printf 'without a compiler for ARM and QEMU, the test that computes as an ARM processor does is skipped\n' >&2
fi
unset PIP_NO_COMPILE
# Three at a time on two cores: most of a test takes one, and many wait, for signals, ranks that meet, or disks.
"$VENV_PYTHON" -m pytest --numprocesses 3 --dist loadgroup --no-loadscope-reorder "$@"
