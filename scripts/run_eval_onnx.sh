#!/usr/bin/env bash
# Evaluate an ONNX file with ONNX Runtime.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_eval_onnx.sh DATA_DIR ONNX_PATH [option for eval_onnx.py...]

Evaluates the file ONNX_PATH with ONNX Runtime, on a GPU if it can use one, with the images of DATA_DIR, one folder a
class inside. The current folder receives eval_onnx.log; an earlier one is moved to earlier-1, earlier-2 and so on.
TEXT
}

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
answer_help "$@"
[[ $# -ge 2 ]] || wrong_usage "DATA_DIR and ONNX_PATH are needed"
data="$(absolute_folder DATA_DIR "$1")"
model="$(absolute_file ONNX_PATH "$2")"
shift 2
check_options "$@"
[[ "${DEVICE_NUM:-1}" == 1 ]] || printf 'DEVICE_NUM has no effect: ONNX Runtime evaluates on one device\n' >&2
start --door=eval_onnx.py --device_target=auto --log=eval_onnx.log -- --test_data_dir="$data" --onnx_path="$model" "$@"
