#!/usr/bin/env bash
# Train on several devices of one or several machines, of any kind.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_msrun.sh DEVICE_TARGET DEVICE_NUM [DATA_PATH] [option for train.py...]

Trains on DEVICE_NUM devices of each machine with the images of DATA_PATH, one folder a class inside. DEVICE_TARGET is
Ascend, GPU or CPU. The devices are the first ones that ASCEND_RT_VISIBLE_DEVICES or CUDA_VISIBLE_DEVICES shows. The
processes meet in the dynamic cluster that msrun sets up too. DATA_PATH may be left out where options say where the images
are, as on ModelArts. On several machines, call it on each with these variables, which ModelArts sets under the names in
brackets:
  NODE_NUM     number of machines (MA_NUM_HOSTS, else 1)
  NODE_RANK    number of this one, from 0 (VC_TASK_INDEX, else 0)
  MASTER_ADDR  address of machine 0 (the first of VC_WORKER_HOSTS, else 127.0.0.1)
  MASTER_PORT  port of machine 0 where all meet (8118; on one machine a free one)

The current folder receives train_parallel0/log.txt and so on, one folder a rank; earlier logs are moved to earlier-1,
earlier-2 and so on inside.
TEXT
}

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
answer_help "$@"
[[ $# -ge 3 ]] || wrong_usage "DEVICE_TARGET, DEVICE_NUM and DATA_PATH, or options in its place, are needed"
device="$1" device_num="$2"
[[ "$device" == Ascend || "$device" == GPU || "$device" == CPU ]] ||
    wrong_usage "DEVICE_TARGET must be Ascend, GPU or CPU: $device"
check_number DEVICE_NUM "$device_num" 1
shift 2
data=()
if [[ "$1" != -* ]]; then
    data=("--train_data_dir=$(absolute_folder DATA_PATH "$1")")
    shift
fi
check_options "$@"
node_num="${NODE_NUM:-${MA_NUM_HOSTS:-1}}" node_rank="${NODE_RANK:-0}" master="${MASTER_ADDR:-127.0.0.1}"
port="${MASTER_PORT:-0}"
if [[ "$node_num" != 1 ]]; then
    first_host="${VC_WORKER_HOSTS:-}"
    node_rank="${NODE_RANK:-${VC_TASK_INDEX:-0}}" master="${MASTER_ADDR:-${first_host%%,*}}"
fi
check_number NODE_NUM "$node_num" 1
check_number NODE_RANK "$node_rank" 0
check_number MASTER_PORT "$port" 0
[[ "$node_rank" -lt "$node_num" ]] || wrong_usage "NODE_RANK must be below NODE_NUM, which is $node_num: $node_rank"
[[ "$port" -lt 65536 ]] || wrong_usage "MASTER_PORT must be below 65536: $port"
start --door=train.py --dynamic_cluster --device_target="$device" --device_num="$device_num" --node_num="$node_num" \
    --node_rank="$node_rank" --master_addr="${master:-127.0.0.1}" --master_port="$port" \
    --log="train_parallel{rank}/log.txt" -- "${data[@]}" "$@"
