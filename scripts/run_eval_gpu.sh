#!/usr/bin/env bash
# Evaluate a checkpoint on one or several GPU devices.
set -Eeuo pipefail

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
evaluate GPU eval_gpu.log "$@"
