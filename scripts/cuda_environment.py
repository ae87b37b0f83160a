"""Print what makes a shell's commands find the CUDA libraries of requirements-gpu.txt.

To be used as: eval "$(python scripts/cuda_environment.py)"
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.launch.cuda_packages import cuda_variables
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError
from src.model_utils.device_adapter import X86, gpu_hint


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If the packages are not installed.
    """
    parser = argparse.ArgumentParser(
        prog="cuda_environment.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    parser.parse_args(argv)
    if os.environ.get("CUDA_HOME"):
        return  # the shell has chosen its libraries
    variables = cuda_variables(os.environ)
    if not variables:
        if platform.machine() != X86:
            raise ConfigError(f"there is no GPU for MindSpore here{gpu_hint()}")
        raise ConfigError(
            f"{sys.executable} has no CUDA 11 libraries: {sys.executable} -m pip install -r requirements-gpu.txt"
        )
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(run_command(main))
