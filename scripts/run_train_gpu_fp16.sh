#!/usr/bin/env bash
# Train in fp16 on one or several GPUs.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
train_gpu fp16 "$@"
