#!/usr/bin/env bash
# Gets what the C++ program of ascend310_infer/ is built and tested with on a CPU: MindSpore Lite and the packages of
# Debian and Ubuntu.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/setup_lite.sh

Downloads the MindSpore Lite 2.0.0 wheel for this machine, x86-64 (161 MB) or ARM (aarch64, 53 MB), checks its SHA-256 and
unzips it into .lite; a second run finds it there. As root on Debian or Ubuntu, installs the missing packages that the build
needs; else names them.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
answer_help "$@"
[[ $# -eq 0 ]] || wrong_usage "no argument can be given: $*"

case "$(uname -m)" in
    x86_64)
        platform=manylinux1_x86_64
        sha256=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec
        ;;
    aarch64) # by its name the wheel is for any machine, and by what is in it for this one
        platform=manylinux2014_aarch64
        sha256=9006b56a0285833802b4880f34cbce5f94111ef5ca4071d5df5c61e8c2a3a6f7
        ;;
    *) die 1 "there is no MindSpore Lite wheel for $(uname -m), only for x86_64 and aarch64: set LITE_HOME to a MindSpore Lite built for it" ;;
esac
target="$ROOT/.lite"

get_lite() {
    local folder="$1" python wheel
    python="$(find_python)"
    # The wheel is made for Python 3.7, but its C++ part needs no Python.
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --python-version 3.7 \
        --only-binary=:all: --platform "$platform" --dest "$folder" mindspore-lite==2.0.0 ||
        die 1 "cannot download mindspore-lite: see pip's message above"
    wheel="$(echo "$folder"/*.whl)"
    sha256sum --check --status <<<"$sha256  $wheel" ||
        die 1 "the downloaded $(basename -- "$wheel") is not the expected file: its SHA-256 is not $sha256"
    "$python" -m zipfile -e "$wheel" "$folder/unzipped"
    printf '%s\n' "$sha256" >"$folder/unzipped/sha256"
}

bash "$ROOT/ascend310_infer/build.sh" --packages

if [[ "$(cat -- "$target/sha256" 2>/dev/null)" == "$sha256" ]]; then
    printf 'MindSpore Lite is in %s already\n' "$target"
    exit 0
fi
# Beside the target, so that the last step is a rename: the folder is there whole or not at all.
folder="$(mktemp -d -- "$ROOT/.lite-XXXXXX")"
trap 'rm -rf -- "$folder"' EXIT
get_lite "$folder"
rm -rf -- "$target"
mv -T -- "$folder/unzipped" "$target"
printf 'MindSpore Lite is in %s\n' "$target"
