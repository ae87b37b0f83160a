"""Evaluate a checkpoint of Xception, or several, on image folders: --test_data_dir holds one folder a class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.checkpoints.named import named_checkpoints
from src.common.files import printable
from src.common.mindspore_log import silence_mindspore
from src.cpu.library import build_evaluation_library
from src.cpu.precision import settle_precision
from src.cpu.threads import share_cores
from src.launch.leaving import leave
from src.launch.platform import take_place
from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.eval_engine import is_converted
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
    if not config.checkpoint_path:
        raise ConfigError("no checkpoint given: add --checkpoint_path=FILE.ckpt")
    run_eval(config)


@partial(moxing_wrapper, files=("checkpoint_path", "class_map"))
def run_eval(config: Config) -> None:
    """Evaluate as the configuration says."""
    checkpoints = named_checkpoints(config.checkpoint_path)
    if len(checkpoints) > 1 and config.eval_report:
        raise ConfigError(
            f"eval_report is of one checkpoint, and {config.checkpoint_path} names {len(checkpoints)}: leave it out"
        )
    library = build_evaluation_library(config)
    use_device(config, library is not None or is_converted(config))
    config = config if is_converted(config) else settle_precision(config, library)
    group = join_group(config)
    share = find_share(group)
    config = share_threads(config, share, group)
    share_cores(library, share, group)

    from src.evaluation.checkpoint import (  # MindSpore takes seconds: --help does without
        comparison,
        evaluate_checkpoint,
    )

    evaluated = []
    for checkpoint in checkpoints:
        if len(checkpoints) > 1 and not group.rank:
            print(printable(f"checkpoint {checkpoint}"), flush=True)
        one = evaluate_checkpoint(config.replace(checkpoint_path=str(checkpoint)), group, library)
        evaluated.append(one)
        if group.rank:  # all have the same result: the first says it
            continue
        print(printable(f"{one.result.to_line()} ckpt= {checkpoint}"))  # as the model zoo ends this line
        print(f"evaluated {one.result.images} images, each once", flush=True)
        for path in one.written:
            print(f"wrote {path}")
    if len(evaluated) > 1 and not group.rank:
        print(comparison(evaluated))


if __name__ == "__main__":
    sys.exit(leave(run_command(main)))
