# shellcheck shell=bash
# Shared by the scripts that start training and evaluation, which source it.

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

# start OPTION... -- DOOR_OPTION...: become scripts/launch.py, which starts the ranks and waits for them. The variable
# BIND_CORE says whether each rank keeps to its share of the cores: auto, where they divide evenly; True; False.
start() {
    local python
    python="$(installed_python)"
    exec "$python" "$ROOT/scripts/launch.py" --python="$python" --bind_core="${BIND_CORE:-auto}" "$@"
}

# train_gpu PRECISION WORD...: train on GPUs in fp32 or fp16; the whole of the scripts run_train_gpu_<precision>.sh.
train_gpu() {
    precision="$1"
    shift
    usage() {
        cat <<TEXT
usage: bash scripts/run_train_gpu_$precision.sh DEVICE_NUM DATASET_PATH [PRETRAINED_CKPT_PATH] [option for train.py...]

Trains in $precision on DEVICE_NUM GPUs of this machine, with the images of DATASET_PATH, one folder a class inside. Where
the checkpoint PRETRAINED_CKPT_PATH is of an unfinished training with the same classes, that one goes on; else a new one
begins with its weights. The log says which. The GPUs are the first ones that CUDA_VISIBLE_DEVICES shows; a single one is
that of the variable DEVICE_ID among them, 0 if not set. Several are started by mpirun where that is installed, as
MindSpore's dynamic cluster otherwise.

The current folder receives train_standalone_gpu_$precision/log_gpu.txt, or with several GPUs
train_distribute_gpu_$precision/rank0/log_gpu.txt and so on; earlier logs are moved to earlier-1, earlier-2 and so on.
TEXT
    }
    answer_help "$@"
    [[ $# -ge 2 ]] || wrong_usage "DEVICE_NUM and DATASET_PATH are needed"
    local device_num="$1" device_id="${DEVICE_ID:-0}" data is_fp32=False initial=() checkpoint log
    check_number DEVICE_NUM "$device_num" 1
    check_number "the variable DEVICE_ID" "$device_id" 0
    data="$(absolute_folder DATASET_PATH "$2")"
    shift 2
    if [[ $# -gt 0 && "$1" != -* ]]; then
        checkpoint="$(absolute_file PRETRAINED_CKPT_PATH "$1")"
        initial=("--initial_checkpoint=$checkpoint")
        shift
    fi
    check_options "$@"
    [[ "$precision" == fp16 ]] || is_fp32=True
    log="train_standalone_gpu_$precision/log_gpu.txt"
    if [[ "$device_num" != 1 ]]; then
        device_id=0
        log="train_distribute_gpu_$precision/rank{rank}/log_gpu.txt"
    fi
    start --door=train.py --device_target=GPU --device_num="$device_num" --device_id="$device_id" --log="$log" -- \
        --train_data_dir="$data" --is_fp32="$is_fp32" "${initial[@]}" "$@"
}

# evaluate DEVICE_TARGET LOG WORD...: evaluate a checkpoint; the whole of the scripts run_eval*.sh.
evaluate() {
    device="$1" log="$2"
    shift 2
    usage() {
        cat <<TEXT
usage: bash scripts/$(basename -- "$0") DEVICE_ID DATA_DIR PATH_CHECKPOINT [option for eval.py...]

Evaluates the checkpoint PATH_CHECKPOINT on the $device device DEVICE_ID, with the images of DATA_DIR, one folder a
class inside. With the variable DEVICE_NUM, on so many devices from DEVICE_ID on, which share the images.

The current folder receives $log, or with several devices eval_parallel0/$log and so on, one folder a rank; the first
tells the result. Earlier logs are moved to earlier-1, earlier-2 and so on beside them.
TEXT
    }
    answer_help "$@"
    [[ $# -ge 3 ]] || wrong_usage "DEVICE_ID, DATA_DIR and PATH_CHECKPOINT are needed"
    local device_id="$1" device_num="${DEVICE_NUM:-1}" data checkpoint
    check_number DEVICE_ID "$device_id" 0
    check_number "the variable DEVICE_NUM" "$device_num" 1
    data="$(absolute_folder DATA_DIR "$2")"
    checkpoint="$(absolute_file PATH_CHECKPOINT "$3")"
    shift 3
    check_options "$@"
    [[ "$device_num" == 1 ]] || log="eval_parallel{rank}/$log"
    start --door=eval.py --device_target="$device" --device_num="$device_num" --device_id="$device_id" --log="$log" -- \
        --test_data_dir="$data" --checkpoint_path="$checkpoint" "$@"
}
