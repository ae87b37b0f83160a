"""Train Xception on image folders: --train_data_dir holds one folder a class."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from src.model_utils.command import run_command
from src.model_utils.config import parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.local_adapter import join_group


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name."""
    config = parse_config(argv, resolve_device, __doc__)
    use_device(config)
    group = join_group(config)

    from src.trainer import train  # MindSpore takes seconds to import: --help and option errors do without

    folder = train(config, group)
    print(f"finished: checkpoints and metrics are in {folder}")


if __name__ == "__main__":
    sys.exit(run_command(main))
