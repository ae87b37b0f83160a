#!/usr/bin/env bash
# From an exported model to its accuracy: builds the inference program, runs it on every image and scores the results.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_infer_310.sh MINDIR_PATH DATA_PATH LABEL_FILE [DEVICE_ID] [--build FOLDER] [option...]

Runs the model on every image below DATA_PATH with the program of ascend310_infer/, which is built first, and prints
the accuracy. It is built in FOLDER; if none is given, in ascend310_infer/out. Where that cannot be written, the program in
it is used if it is up to date, else one in the user's cache folder is built. The model is exported with --mindir_version 1; LABEL_FILE is written by tools/imgid2label.py DATA_PATH
LABEL_FILE --model MINDIR_PATH. DEVICE_ID is the variable device_id if not given, else the variable DEVICE_ID, else 0. The options go to the program, such as --device_type CPU,
--threads 4 or --class_names FILE. What the program notes of the model, as an image size other than its training's, is
shown too.

The current folder receives result_Files/, time_Result/, build.log, infer.log and acc.log; those of an earlier run are
moved to earlier-1, earlier-2 and so on.

Images that cannot be read are skipped: the others are scored, and the exit status is 3.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/infer_program.sh
source "$ROOT/scripts/infer_program.sh"

answer_help "$@"
[[ $# -ge 3 ]] || wrong_usage "MINDIR_PATH, DATA_PATH and LABEL_FILE are needed"
model="$(absolute_file MINDIR_PATH "$1")"
data="$(absolute_folder DATA_PATH "$2")"
labels="$(absolute_file LABEL_FILE "$3")"
shift 3
if [[ $# -gt 0 && "$1" != -* ]]; then
    device="$1"
    check_number DEVICE_ID "$device" 0
    shift
else
    variable=device_id
    [[ -n "${device_id:-}" ]] || variable=DEVICE_ID
    device="${!variable:-}"
    if [[ -n "$device" ]]; then
        check_number "the variable $variable" "$device" 0
        printf 'the device is %s, as the variable %s says\n' "$device" "$variable" >&2
    fi
fi
check_options "$@"
build=""
options=()
while [[ $# -gt 0 ]]; do
    case "$1" in
        --build)
            [[ -n "${2:-}" ]] || wrong_usage "--build needs a folder"
            build="$2"
            shift
            ;;
        --build=*)
            build="${1#--build=}"
            [[ -n "$build" ]] || wrong_usage "--build needs a folder"
            ;;
        *) options+=("$1") ;;
    esac
    shift
done
for word in ${options[@]+"${options[@]}"}; do
    case "$word" in
        --model_path* | --dataset_path* | --device_id* | --result_path* | --time_path*)
            wrong_usage "$word cannot be given here: this script sets it" ;;
    esac
done

# The device's machine need not have .venv: scoring takes NumPy and PyYAML, no MindSpore.
python="$(installed_python)"
"$python" -c 'import numpy, yaml' 2>/dev/null ||
    die 2 "$python has no NumPy or no PyYAML: install them with $python -m pip install numpy pyyaml"

check_runtime_home
if [[ -n "$build" ]]; then
    build="$(expand_home "$build")"
    folders=("$(realpath -m -- "$build")")
else
    mapfile -t folders < <(build_folders)
fi
out="" is_built=no
for folder in "${folders[@]}"; do
    if can_build_in "$folder"; then
        out="$folder"
        break
    elif is_current "$folder"; then
        out="$folder" is_built=yes
        break
    fi
done
[[ -n "$out" ]] || die 1 "the program cannot be built in ${folders[*]}: give a folder that you can write to with --build"

# Another run of this script in this folder would move the results aside that this one is writing.
exec {work}<.
flock -n "$work" || die 2 "another run works in $PWD: wait for its end, or run this one in another folder"

# run NAME LOG COMMAND...: run a command into its log; return its status.
run() {
    local name="$1" log="$2"
    shift 2
    printf '%s, log in %s\n' "$name" "$PWD/$log"
    "$@" >"$log" 2>&1
}

# stop STATUS LOG MESSAGE...: show the log's end and end the script.
stop() {
    local status="$1" log="$2"
    shift 2
    tail -n 20 -- "$log" >&2
    die "$status" "$*: above is the end of $PWD/$log"
}

"$python" "$ROOT/scripts/move_aside.py" result_Files time_Result build.log infer.log acc.log
status=0
if [[ $is_built == no ]]; then
    run "build" build.log bash "$ROOT/ascend310_infer/build.sh" --out "$out" || status=$?
    [[ $status -eq 0 ]] || stop "$status" build.log "build failed with status $status"
fi

run "inference" infer.log "$out/main" --model_path "$model" --dataset_path "$data" \
    --device_id "${device:-0}" --result_path result_Files --time_path time_Result \
    ${options[@]+"${options[@]}"} || status=$?
[[ $status -eq 0 || $status -eq 3 ]] || stop "$status" infer.log "inference failed with status $status"

grep -a '^note: ' infer.log >&2 || true
scoring=0
run "scoring" acc.log "$python" "$ROOT/postprocess.py" --result_path result_Files --label_file "$labels" || scoring=$?
if [[ $status -eq 3 ]]; then
    # The results of skipped images are missing, so the scoring fails too; what it says of the others counts.
    skipped="$(sed -n 's/^predicted .*; skipped \([0-9]*\)\( and [0-9]* folders\)\{0,1\}$/\1 images\2/p' infer.log | tail -n 1)"
    printf 'skipped %s, named in infer.log\n' "$skipped" >>acc.log
    cat acc.log
    stop "$status" infer.log "inference skipped $skipped"
fi
[[ $scoring -eq 0 ]] || stop "$scoring" acc.log "scoring failed with status $scoring"
cat acc.log
