# shellcheck shell=bash
# Where the C++ program of ascend310_infer/ is built, and whether what is there is up to date. Needs common.sh.

# check_runtime_home: end the script if the variable that names the MindSpore runtime names no folder.
check_runtime_home() {
    local name
    for name in LITE_HOME MS_LITE_HOME; do
        if [[ -n "${!name:-}" ]]; then
            [[ -d "${!name}" ]] || die 2 "$name is not a folder: ${!name}: set it to an unpacked MindSpore Lite tarball, or unset it"
            return
        fi
    done
}

# program_digest: print the SHA-256 of what the program is built from.
program_digest() {
    (
        cd -- "$ROOT/ascend310_infer" || exit
        printf '%s\n' "${LITE_HOME:-${MS_LITE_HOME:-}}" "$(uname -m)"
        find . -path './out*' -prune -o -type f \( -name '*.cc' -o -name '*.h' -o -name '*.cmake' -o -name CMakeLists.txt \) \
            -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
    ) | sha256sum | cut -d ' ' -f 1
}

# is_current FOLDER: whether the program there is built from the sources as they are, for the runtime that is wanted.
is_current() {
    [[ -x "$1/main" && -r "$1/main.sha256" && "$(cat -- "$1/main.sha256")" == "$(program_digest)" ]]
}

# can_build_in FOLDER: whether this user can make or write it.
can_build_in() {
    local folder
    folder="$(realpath -m -- "$1")"
    if [[ -e "$folder" ]]; then
        [[ -d "$folder" && -w "$folder" && (! -e "$folder/.lock" || -w "$folder/.lock") ]]
        return
    fi
    while [[ ! -e "$folder" ]]; do
        folder="$(dirname -- "$folder")"
    done
    [[ -d "$folder" && -w "$folder" ]]
}

# build_folders: print the folders that the program may be built in, the first choice first: beside its sources, and for a
# user who cannot write there, in the cache folder.
build_folders() {
    local cache="${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}" name
    printf '%s\n' "$ROOT/ascend310_infer/out"
    if [[ -n "$cache" ]]; then
        name="$(printf '%s' "$ROOT" | sha256sum | cut -c 1-16)"
        printf '%s\n' "$cache/mindspore-xception/infer-$name"
    fi
}
