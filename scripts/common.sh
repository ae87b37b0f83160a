# shellcheck shell=bash
# Shared by the project's scripts, which source it. ROOT is the project's folder.

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"

# die STATUS MESSAGE...: print one line on stderr and end the script.
die() {
    local status="$1"
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$status"
}

# wrong_usage MESSAGE...: print the usage of the script, which defines it, and one line; end with status 2.
wrong_usage() {
    usage >&2
    die 2 "$@"
}

# answer_help WORD...: if one of the words asks for help, print the usage and end the script.
answer_help() {
    local word
    for word in "$@"; do
        if [[ "$word" == "-h" || "$word" == "--help" ]]; then
            usage
            exit 0
        fi
    done
}

# absolute PATH: print the absolute path of what need not exist.
absolute() {
    case "$1" in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s\n' "$PWD/$1" ;;
    esac
}

# absolute_file NAME PATH, absolute_folder NAME PATH: print the absolute path, or end the script if it cannot be read.
absolute_file() {
    [[ -f "$2" && -r "$2" ]] || wrong_usage "$1 is not a file that can be read: $(absolute "$2")"
    realpath -- "$2"
}
absolute_folder() {
    [[ -d "$2" && -x "$2" ]] || wrong_usage "$1 is not a folder that can be read: $(absolute "$2")"
    realpath -- "$2"
}

# expand_home PATH: print the path with the home folder for a ~ before its first slash, which a shell leaves in --option=~/x.
expand_home() {
    if [[ "$1" == \~ || "$1" == \~/* ]]; then
        [[ "${HOME:-}" == /* ]] || die 2 "$1: no home folder is known: set HOME to an absolute path, or write the path in full"
        printf '%s\n' "$HOME${1:1}"
    else
        printf '%s\n' "$1"
    fi
}

# check_number NAME VALUE LEAST: end the script unless the value is a number from LEAST on.
check_number() {
    [[ "$2" =~ ^(0|[1-9][0-9]{0,8})$ && "$2" -ge "$3" ]] || wrong_usage "$1 must be a number from $3 on: $2"
}

# check_options WORD...: end the script unless the words begin with an option.
check_options() {
    [[ $# -eq 0 || "$1" == -* ]] || wrong_usage "not an option: $1"
}

# installed_python: print the Python that runs the project: PYTHON if set, else that of .venv, else what find_python finds.
installed_python() {
    local python="$ROOT/.venv/bin/python"
    [[ -z "${PYTHON:-}" && -x "$python" ]] || python="$(find_python)" || return
    printf '%s\n' "$python"
}

# find_python: print the first Python from 3.10 to 3.12; PYTHON names another one.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.10 python3 python; do
        # A name may exist and still not run, as the shims of version managers do.
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        [[ -z "${PYTHON:-}" ]] || die 2 "PYTHON=$PYTHON is not a Python from 3.10 to 3.12"
    done
    die 2 "no Python from 3.10 to 3.12 found: install one, or name it as PYTHON=/path/to/python"
}

# install_packages PACKAGE...: install packages of Debian and Ubuntu; end the script with their names where it may not.
install_packages() {
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        die 1 "packages are missing: install $*"
    fi
    printf 'installing %s\n' "$*"
    if ! apt-get update -qq ||
        ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; then
        die 1 "apt-get cannot install $*: see its message above"
    fi
}

# setup_venv REQUIREMENTS_FILE...: make .venv and install the files' packages, unless exactly that has been done already.
# Sets VENV_PYTHON, the Python to use from there on.
setup_venv() {
    local venv="$ROOT/.venv" marker python arguments=() file
    VENV_PYTHON="$venv/bin/python"
    marker="$venv/installed-$(cd "$ROOT" && cat -- requirements*.txt | cksum | cut -d ' ' -f 1)-$(printf '%s-' "$@" | cksum | cut -d ' ' -f 1)"
    if [[ -e "$marker" ]] && "$VENV_PYTHON" -c '' 2>/dev/null; then
        return
    fi
    if ! "$VENV_PYTHON" -c '' 2>/dev/null; then
        python="$(find_python)"
        printf 'making %s with %s\n' "$venv" "$("$python" --version)"
        "$python" -m venv --clear "$venv" ||
            die 1 "cannot make $venv: on Debian and Ubuntu, install the package python3-venv first"
    fi
    for file in "$@"; do
        arguments+=(-r "$ROOT/$file")
    done
    printf 'installing %s (MindSpore is an 800 MB download the first time)\n' "$*"
    "$VENV_PYTHON" -m pip install --disable-pip-version-check "${arguments[@]}" ||
        die 1 "installation failed: see pip's message above"
    : >"$marker"
}
