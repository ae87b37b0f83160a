#!/usr/bin/env bash
# Evaluate a checkpoint on one or several Ascend devices.
set -Eeuo pipefail

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
evaluate Ascend eval.log "$@"
