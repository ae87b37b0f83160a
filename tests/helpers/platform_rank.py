"""A rank that a platform has started: takes its place, joins the others, adds up over all, and writes what it found.

Usage: RANK_ID=... RANK_SIZE=... DEVICE_ID=... platform_rank.py OUT_FOLDER OPTION...
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.launch.leaving import leave
from src.launch.platform import take_place
from src.model_utils.config import parse_config


def main(folder: str, *options: str) -> None:
    """Do as the doors do."""
    config = parse_config(take_place(Path("train.py"), options), lambda device: device)

    import numpy as np

    from src.model_utils.device_adapter import use_device
    from src.model_utils.local_adapter import join_group, sum_over_ranks

    use_device(config)
    group = join_group(config)
    total = sum_over_ranks(np.array([10**group.rank]), group)
    Path(folder, os.environ["MS_NODE_ID"]).write_text(f"{group.rank} of {group.size}, sum {total[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.exit(leave(0))
