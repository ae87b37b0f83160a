#!/usr/bin/env bash
# Train on all Ascend devices of a rank table.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_distribute_train.sh RANK_TABLE_FILE DATA_PATH [option for train.py...]

Trains on the Ascend devices of RANK_TABLE_FILE, as hccl_tools writes it, with the images of DATA_PATH, one folder a
class inside. With several servers in the table, call it on each; the variable SERVER_ID names this one if none of the
table's addresses is this machine's. The table only says which devices of which servers have which ranks: MindSpore 2.10
does not start by it. Where ASCEND_RT_VISIBLE_DEVICES hides devices, a device_id counts from 0 among those it shows, or is
one of its numbers.
The variable MASTER_PORT names the port of the first server where all meet, 8118 if not set.

The current folder receives train_parallel0/log.txt and so on, one folder a rank; earlier logs are moved to earlier-1,
earlier-2 and so on inside.
TEXT
}

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
answer_help "$@"
[[ $# -ge 2 ]] || wrong_usage "RANK_TABLE_FILE and DATA_PATH are needed"
table="$(absolute_file RANK_TABLE_FILE "$1")"
data="$(absolute_folder DATA_PATH "$2")"
shift 2
check_options "$@"
port="${MASTER_PORT:-0}"
check_number MASTER_PORT "$port" 0
[[ "$port" -lt 65536 ]] || wrong_usage "MASTER_PORT must be below 65536: $port"
start --door=train.py --device_target=Ascend --rank_table="$table" --master_port="$port" --log="train_parallel{rank}/log.txt" -- \
    --train_data_dir="$data" "$@"
