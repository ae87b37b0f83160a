#!/usr/bin/env bash
# Sets up .venv and calls tools/quickstart.py, which Windows can call itself.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

usage() {
    cat <<'TEXT'
usage: bash scripts/run_quickstart.sh [FOLDER] [--data=MY_IMAGES] [--pretrained=FILE.ckpt] [OPTIONS]

Makes .venv and installs what is needed, writes 1,797 real handwritten digits as image folders, trains Xception on the
CPU for about a minute, evaluates the held-out images, exports a MINDIR and prints a table of the results. With --data it
does so with your own images, one folder a class: it checks and divides them first, and fine-tunes a checkpoint if one is given.
FOLDER (default: quickstart, own_model with --data) receives everything; a second run reuses what is there.

OPTIONS are those of tools/quickstart.py: --val, --image_size, --batch_size, --epoch_size, --lr_max.
TEXT
}

# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
answer_help "$@"
setup_venv requirements.txt requirements-sample.txt requirements-plot.txt
exec "$VENV_PYTHON" "$ROOT/tools/quickstart.py" "$@"
