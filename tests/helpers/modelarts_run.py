"""A run on ModelArts: it tells that it has begun, goes on when it may, writes a result and ends as it is told.

modelarts_run.py '[OPTIONS, ENDING, WAIT_LIMIT, FOLDER]': the options of the command, what is executed at its end, the
longest wait in seconds, and the folder of the test.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from src.model_utils.command import run_command
from src.model_utils.config import Config, parse_config
from src.model_utils.moxing_adapter import moxing_wrapper

assert "mindspore" not in sys.modules


def main(options: list[str], ending: str, wait_limit: float, bench: str) -> int:
    def run(config: Config) -> int:
        print("data:", sorted(os.listdir(config.train_data_dir)), flush=True)
        (Path(bench) / f"begun-{os.getpid()}").touch()
        while (Path(bench) / "hold").exists() and not ending:
            time.sleep(0.02)
        folder = Path(config.save_checkpoint_path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"result-{os.getpid()}").write_text("trained")
        if ending:
            exec(ending)
        return 7

    assert run.__name__ == moxing_wrapper(run).__name__
    wrapped = moxing_wrapper(run, wait_limit)
    return run_command(lambda argv: wrapped(parse_config(argv, lambda device: device)), options)


if __name__ == "__main__":
    sys.exit(main(*json.loads(sys.argv[1])))
