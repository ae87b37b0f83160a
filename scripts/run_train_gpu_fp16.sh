#!/usr/bin/env bash
# Train in fp16 on one or several GPUs.
set -Eeuo pipefail

# shellcheck source=scripts/launch.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/launch.sh"
train_gpu fp16 "$@"
