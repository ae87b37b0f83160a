#!/usr/bin/env bash
# From nothing to a trained, evaluated and exported Xception, on a machine without any accelerator.
set -Eeuo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_quickstart.sh [FOLDER]

Makes .venv and installs what is needed, writes 1,797 real handwritten digits as image folders, trains Xception on the
CPU for a few minutes, evaluates the held-out images, exports a MINDIR and prints a table of the results.
FOLDER (default: quickstart) receives everything; a second run reuses what is there.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
answer_help "$@"
[[ $# -le 1 && "${1:-}" != -* ]] || wrong_usage "one FOLDER at most can be given: $*"
folder="$(realpath -m -- "${1:-$ROOT/quickstart}")"
setup_venv requirements.txt requirements-sample.txt requirements-plot.txt

data="$folder/digits"
model="$folder/model_0"
options=(
    --config_path "$ROOT/scripts/quickstart.yaml" --device_target CPU
    --train_data_dir "$data/train" --test_data_dir "$data/val" --save_checkpoint_path "$folder"
)

# stage NAME: announce a stage.
stage() {
    printf '\n== %s\n' "$1"
}

# timed FILE COMMAND...: run a command, then write the seconds it took to FILE.
timed() {
    local file="$1" start="$SECONDS"
    shift
    "$@"
    printf '%s\n' "$((SECONDS - start))" >"$file"
}

# newest_checkpoint: print the checkpoint of the latest epoch, if there is one.
newest_checkpoint() {
    [[ -d "$model" ]] || return 0
    find "$model" -maxdepth 1 -name 'Xception-rank0-*.ckpt' | sort -V | tail -n 1
}

train() {
    local newest
    newest="$(newest_checkpoint)"
    "$VENV_PYTHON" "$ROOT/train.py" "${options[@]}" ${newest:+--resume "$newest"}
}

evaluate() {
    "$VENV_PYTHON" "$ROOT/eval.py" "${options[@]}" --checkpoint_path "$(newest_checkpoint)" \
        --eval_report "$folder/report" | tee "$folder/eval.log.part"
    mv -- "$folder/eval.log.part" "$folder/eval.log"
}

export_model() {
    "$VENV_PYTHON" "$ROOT/export.py" --device_target CPU --ckpt_file "$(newest_checkpoint)" \
        --file_name "$folder/xception"
}

# result NAME: print a figure of the evaluation's result line.
result() {
    sed -n "s/^result: .*'$1': \([0-9.e-]*\).*/\1/p" "$folder/eval.log"
}

stage "1/4 data: $data"
mkdir -p -- "$folder"
"$VENV_PYTHON" "$ROOT/tools/make_sample_dataset.py" "$data"

stage "2/4 training: $model"
if [[ -s "$folder/train.seconds" ]]; then
    echo "trained already, reusing $(newest_checkpoint)"
else
    timed "$folder/train.seconds" train
fi

stage "3/4 evaluation of the held-out images"
if [[ -s "$folder/eval.log" ]]; then
    echo "evaluated already, reusing $folder/eval.log"
else
    timed "$folder/eval.seconds" evaluate
fi

stage "4/4 export"
if [[ -s "$folder/xception.mindir" ]]; then
    echo "exported already, reusing $folder/xception.mindir"
else
    export_model
fi

stage "result"
checkpoint="$(newest_checkpoint)"
epochs="${checkpoint##*rank0-}"
row() {
    printf '%-20s %s\n' "$1" "$2"
}
row "training images" "$(find "$data/train" -name '*.jpg' | wc -l) in 10 classes"
row "held-out images" "$(sed -n 's/^evaluated \([0-9]*\) images.*/\1/p' "$folder/eval.log")"
row "epochs" "${epochs%%_*}"
row "top-1" "$(result Top_1_Acc | awk '{printf "%.2f %%", 100 * $1}')"
row "top-5" "$(result Top_5_Acc | awk '{printf "%.2f %%", 100 * $1}')"
row "training seconds" "$(<"$folder/train.seconds")"
row "evaluation seconds" "$(<"$folder/eval.seconds")"
row "files written" "$checkpoint"
for file in "$model/metrics.csv" "$model/curves.png" "$folder/report/per_class.csv" \
    "$folder/report/confusion_matrix.png" "$folder/xception.mindir"; do
    row "" "$file"
done
