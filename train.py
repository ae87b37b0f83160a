"""Train Xception on image folders: --train_data_dir holds one folder a class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.common.event_file import MISSING_TENSORBOARD, has_tensorboard
from src.common.mindspore_log import silence_mindspore
from src.cpu.library import build_cpu_library
from src.cpu.precision import settle_precision
from src.cpu.shared_memory import share_memory
from src.cpu.threads import share_cores
from src.launch.leaving import leave
from src.launch.platform import take_place
from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.local_adapter import join_group
from src.model_utils.moxing_adapter import moxing_wrapper
from src.model_utils.shared_processors import find_share, share_threads
from src.model_utils.unused import say_unused


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name."""
    silence_mindspore()
    argv = take_place(Path(__file__), argv)
    config = parse_config(argv, resolve_device, __doc__)
    say_unused(Path(__file__).name, argv)
    if config.log_dir and not has_tensorboard():
        raise ConfigError(f"log_dir is {config.log_dir}, but {MISSING_TENSORBOARD}")
    run_train(config)


@partial(moxing_wrapper, files=("pretrained", "resume", "initial_checkpoint", "class_map"))
def run_train(config: Config) -> None:
    """Train as the configuration says."""
    library = build_cpu_library(config)
    use_device(config, library is not None)
    config = settle_precision(config, library)
    group = join_group(config)
    share = find_share(group)
    config = share_threads(config, share, group)
    share_cores(library, share, group)
    share_memory(config, library, group)

    from src.training.trainer import train  # MindSpore takes seconds to import: --help does without

    folder = train(config, group, library)
    if folder:
        print(f"finished: checkpoints and metrics are in {folder}")


if __name__ == "__main__":
    sys.exit(leave(run_command(main, prints_results=False)))
