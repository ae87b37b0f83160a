#!/usr/bin/env bash
# Evaluate a checkpoint on one or several GPU devices.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called by sh
set -Eeuo pipefail +o posix

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
evaluate GPU eval_gpu.log "$@"
