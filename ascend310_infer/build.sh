#!/usr/bin/env bash
# Builds the C++ program; see usage below.
set -Eeuo pipefail

usage() {
    cat <<'TEXT'
usage: bash build.sh [--out FOLDER] [--tests] [--no-app] [--sanitize] [--old-abi] [--packages] [CMake option...]

Builds the program as FOLDER/main; FOLDER is ascend310_infer/out if not given. The MindSpore runtime is looked for in
LITE_HOME or else MS_LITE_HOME; where neither is set, in .lite (see scripts/setup_lite.sh) and then the mindspore package of
python3. FOLDER/main.sha256 tells what the program was built from.

  --tests      build and run the unit tests too
  --no-app     leave the program out, which needs the runtime
  --sanitize   with AddressSanitizer and UndefinedBehaviorSanitizer
  --old-abi    with the C++ ABI from before GCC 5
  --packages   do nothing but install or name the missing packages of Debian and Ubuntu
TEXT
}

# The header or command that tells whether a package is there, and the package.
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

install_missing() {
    local entry missing=()
    for entry in "${PACKAGES[@]}"; do
        is_there "${entry%%:*}" || missing+=("${entry##*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/common.sh"
# shellcheck source=scripts/infer_program.sh
source "$ROOT/scripts/infer_program.sh"
source_folder="$ROOT/ascend310_infer"
out="$source_folder/out"
# Every option is given each time: CMake remembers those of the last build.
app=ON tests=OFF sanitize=OFF old_abi=OFF
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
        --packages)
            install_missing
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
digest="$(program_digest)"
install_missing
mkdir -p -- "$out"
# Two builds in one folder, as of two devices scored side by side, would delete each other's files.
exec {lock}>"$out/.lock"
flock "$lock"
cmake -S "$source_folder" -B "$out" -DBUILD_APP=$app -DBUILD_TESTING=$tests -DSANITIZE=$sanitize -DOLD_ABI=$old_abi \
    ${more[@]+"${more[@]}"}
rm -f -- "$out/main.sha256"
cmake --build "$out" --parallel "$(nproc)"
[[ $app == OFF ]] || printf '%s\n' "$digest" >"$out/main.sha256"
if [[ $tests == ON ]]; then
    (cd -- "$out" && ctest --output-on-failure)
fi
