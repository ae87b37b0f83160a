#!/usr/bin/env bash
# Gets what the C++ program of ascend310_infer/ is built and tested with on a CPU: MindSpore Lite and the packages of
# Debian and Ubuntu.
set -Eeuo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/setup_lite.sh

Downloads the MindSpore Lite 2.0.0 wheel (161 MB), checks its SHA-256 and unzips it into .lite; a second run finds it there.
As root on Debian or Ubuntu, installs the missing packages that the build needs; else names them. x86-64 Linux only.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
answer_help "$@"
[[ $# -eq 0 ]] || wrong_usage "no argument can be given: $*"

sha256=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec
target="$ROOT/.lite"

get_lite() {
    local folder="$1" python wheel
    python="$(find_python)"
    # The wheel is made for Python 3.7, but its C++ part needs no Python.
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --python-version 3.7 \
        --only-binary=:all: --platform manylinux1_x86_64 --dest "$folder" mindspore-lite==2.0.0 ||
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
