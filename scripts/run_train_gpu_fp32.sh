#!/usr/bin/env bash
# Train in fp32 on one or several GPUs.
set -Eeuo pipefail

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
train_gpu fp32 "$@"
