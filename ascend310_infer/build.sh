#!/usr/bin/env bash
# Builds the C++ program; see usage below.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash build.sh [--out FOLDER] [--tests] [--no-app] [--sanitize] [--old-abi] [--aarch64 ROOT] [--packages]
                     [CMake option...]

Builds the program as FOLDER/main; FOLDER is ascend310_infer/out if not given. The MindSpore runtime is looked for in
LITE_HOME or else MS_LITE_HOME; where neither is set, in .lite (see scripts/setup_lite.sh) and then the mindspore package of
python3. FOLDER/main.sha256 tells what the program was built from.

  --tests      build and run the unit tests too
  --no-app     leave the program out, which needs the runtime
  --sanitize   with AddressSanitizer and UndefinedBehaviorSanitizer
  --old-abi    with the C++ ABI from before GCC 5
  --aarch64    for ARM on another machine, with the libraries in ROOT (see aarch64_root.sh), into out-aarch64 if no FOLDER is
               given; unit tests run under QEMU. LITE_HOME must be a MindSpore Lite for ARM, or the program be left out
  --packages   do nothing but install or name the missing packages of Debian and Ubuntu
TEXT
}

# The header or command that tells whether a package is there, and the package.
CROSS_PACKAGES=(
    aarch64-linux-gnu-g++:g++-aarch64-linux-gnu
    cmake:cmake
    make:make
    qemu-aarch64:qemu-user
)
PACKAGES=(
    cmake:cmake
    c++:g++
    make:make
    CLI/CLI.hpp:libcli11-dev
    gtest/gtest.h:libgtest-dev
    jpeglib.h:libjpeg-dev
    nlohmann/json.hpp:nlohmann-json3-dev
    opencv2/imgcodecs.hpp:libopencv-imgcodecs-dev
)

# is_there HEADER_OR_COMMAND
is_there() {
    case "$1" in
        *.h | *.hpp) printf '#include <cstdio>\n#include <%s>\n' "$1" |
            "${CXX:-c++}" -std=c++17 -fsyntax-only -I/usr/include/opencv4 -x c++ - 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# install_missing ENTRY...
install_missing() {
    local entry missing=()
    for entry in "$@"; do
        is_there "${entry%%:*}" || missing+=("${entry##*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=scripts/infer_program.sh
source "$ROOT/scripts/infer_program.sh"
source_folder="$ROOT/ascend310_infer"
out=
# Every option is given each time: CMake remembers those of the last build.
app=ON tests=OFF sanitize=OFF old_abi=OFF root=
more=()
while [[ $# -gt 0 ]]; do
    case "$1" in
        -h | --help)
            usage
            exit 0
            ;;
        --out)
            [[ -n "${2:-}" ]] || wrong_usage "--out needs a folder"
            out="$(realpath -m -- "$2")"
            shift
            ;;
        --tests) tests=ON ;;
        --no-app) app=OFF ;;
        --sanitize) sanitize=ON ;;
        --old-abi) old_abi=ON ;;
        --aarch64)
            [[ -d "${2:-}" ]] || wrong_usage "--aarch64 needs a folder that aarch64_root.sh has made"
            root="$(realpath -- "$2")"
            shift
            ;;
        --packages)
            install_missing "${PACKAGES[@]}"
            exit 0
            ;;
        -D?*) more+=("$1") ;;
        *)
            wrong_usage "unknown option $1"
            ;;
    esac
    shift
done

[[ $app == OFF ]] || check_runtime_home
if [[ -n "$root" ]]; then
    [[ $app == OFF || -n "${LITE_HOME:-${MS_LITE_HOME:-}}" ]] ||
        die 2 "--aarch64 needs a MindSpore Lite for ARM: set LITE_HOME to it, or leave the program out with --no-app"
    install_missing "${CROSS_PACKAGES[@]}"
    more+=("-DCMAKE_TOOLCHAIN_FILE=$source_folder/cmake/aarch64.cmake" "-DAARCH64_ROOT=$root")
else
    install_missing "${PACKAGES[@]}"
fi
out="${out:-$source_folder/out${root:+-aarch64}}"
digest="$(program_digest)"
mkdir -p -- "$out"
# Two builds in one folder, as of two devices scored side by side, would delete each other's files.
exec {lock}>"$out/.lock"
flock "$lock"
# What was built for or on another machine, as in a home folder that both have, would count as up to date.
machine="$(uname -m)${root:+, for aarch64 with $root}"
if [[ "$(cat -- "$out/.machine" 2>/dev/null)" != "$machine" ]]; then
    rm -rf -- "$out/CMakeCache.txt" "$out/CMakeFiles" "$out/tests/CMakeFiles"
    printf '%s\n' "$machine" >"$out/.machine"
fi
cmake -S "$source_folder" -B "$out" -DBUILD_APP=$app -DBUILD_TESTING=$tests -DSANITIZE=$sanitize -DOLD_ABI=$old_abi \
    ${more[@]+"${more[@]}"}
rm -f -- "$out/main.sha256"
cmake --build "$out" --parallel "$(nproc)"
# What runs the program here looks for this file.
[[ $app == OFF || -n "$root" ]] || printf '%s\n' "$digest" >"$out/main.sha256"
if [[ $tests == ON ]]; then
    (cd -- "$out" && ctest --output-on-failure)
fi
