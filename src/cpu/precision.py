"""The precision that work on CPU has: bfloat16 needs the operators in C++, and a processor that multiplies it."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

from src.model_utils.config import Config
from src.model_utils.derived_settings import is_bfloat16
from src.model_utils.device_adapter import X86


def settle_precision(config: Config, library: Path | None) -> Config:
    """Return the configuration with the level O0 where bfloat16 is asked for but not to be had, and say so in a line.

    Args:
        config: The configuration; the device is set already.
        library: The operators, as src.cpu.library returns them.
    """
    if not is_bfloat16(config) or (library and ctypes.CDLL(str(library)).XceptionHasHalf()):
        return config
    if platform.machine() != X86:
        reason = f"the operators in C++ have no bfloat16 on {platform.machine()}"
    elif library:
        reason = "this processor, or what ONEDNN_MAX_CPU_ISA leaves of it, has no avx512_bf16"
    else:
        reason = "that needs the operators in C++"
    print(f"amp_level is {config.amp_level}, but {reason}: computing in float32", file=sys.stderr, flush=True)
    return config.replace(amp_level="O0")
