"""A door that trains nothing: its ranks add up a number again and again, by the means of a training on CPU."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.model_utils.device_adapter import use_device
from src.model_utils.local_adapter import join_group, sum_over_ranks


def main(argv: Sequence[str]) -> None:
    """Join the group, say what was added up, and go on until something fails."""
    config = parse_config(argv, lambda _: "CPU")
    use_device(config)
    group = join_group(config)
    while True:
        print(f"sum {sum_over_ranks(np.array([group.rank + 1]), group)[0]}", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(run_command(main))
