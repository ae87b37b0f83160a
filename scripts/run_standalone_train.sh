#!/usr/bin/env bash
# Train on one Ascend device.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_standalone_train.sh DEVICE_ID DATA_PATH [option for train.py...]

Trains on the Ascend device DEVICE_ID with the images of DATA_PATH, one folder a class inside.
The current folder receives log.txt; an earlier one is moved to earlier-1, earlier-2 and so on.
TEXT
}

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
answer_help "$@"
[[ $# -ge 2 ]] || wrong_usage "DEVICE_ID and DATA_PATH are needed"
device_id="$1"
check_number DEVICE_ID "$device_id" 0
data="$(absolute_folder DATA_PATH "$2")"
shift 2
check_options "$@"
start --door=train.py --device_target=Ascend --device_id="$device_id" --log=log.txt -- --train_data_dir="$data" "$@"
