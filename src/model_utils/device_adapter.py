"""Which devices this machine has, and the set-up of the one that a run uses."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

from src.common.mindspore_log import silenced_logging
from src.model_utils.config import Config, ConfigError

DEVICES = ("Ascend", "GPU", "CPU")  # best first: the order in which `auto` looks
X86 = "x86_64"
_PREFETCHED = 2  # batches
_M_ARENA_MAX = -8  # malloc.h
_INSTRUCTIONS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # oneDNN's variable, and its older name


def available_devices() -> list[str]:
    """Return the devices that MindSpore can use on this machine, best first; CPU is always the last."""
    from mindspore import hal

    with silenced_logging():  # asking for an absent device logs how its libraries failed to load
        return [device for device in DEVICES if hal.is_available(device)]


def resolve_device(requested: str) -> str:
    """Choose the device of a run.

    Args:
        requested: "Ascend", "GPU", "CPU", or "auto" for the best that this machine has.

    Returns:
        "Ascend", "GPU" or "CPU".

    Raises:
        ConfigError: This machine does not have the requested device.
    """
    if requested == "CPU":
        return requested
    available = available_devices()
    if requested == "auto":
        return available[0]
    if requested not in available:
        raise ConfigError(
            f"device_target {requested} is not there: MindSpore finds {', '.join(available)} on this machine; "
            f"use one of these or auto{gpu_hint() if requested == 'GPU' else ''}"
        )
    return requested


def gpu_hint() -> str:
    """Return what keeps MindSpore from looking for a GPU, as the end of a message; nothing where it looks for one."""
    if platform.machine() != X86:
        return f"; its package for {platform.machine()} has no GPU plug-in"
    if not os.environ.get("CUDA_HOME"):
        return "; it looks for a GPU only if CUDA_HOME is set: see requirements-gpu.txt"
    return ""


def use_device(config: Config, has_own_convolutions: bool = False) -> None:
    """Set the device, its index and graph mode for this process; to be called once, before the first tensor.

    Args:
        config: With `device_target` resolved, and `device_id`.
        has_own_convolutions: Whether something else computes what avoid_reference_convolutions is for; it may be what
            the same variable limits.

    Raises:
        ConfigError: The device exists but cannot be used.
    """
    import mindspore as ms

    if config.device_target == "CPU" and not has_own_convolutions:
        avoid_reference_convolutions()
    device = own_device(config)
    try:
        if config.device_target == "CPU" or device is None:
            ms.set_device(config.device_target)
        else:
            ms.set_device(config.device_target, device)
    except (RuntimeError, ValueError) as error:
        # The rest of MindSpore's message is a call stack.
        problem = str(error).partition("\n\n")[0]
        raise ConfigError(f"cannot use {config.device_target} {device or 0}: {problem}") from error
    ms.set_context(mode=ms.GRAPH_MODE)
    if config.device_target == "CPU":
        _spare_memory()


def _spare_memory() -> None:
    """Have the pipeline's stages hold fewer batches than the 16 of default, and threads take what others have freed."""
    import mindspore.dataset as ds

    ds.config.set_prefetch_size(_PREFETCHED)
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
        if mallopt:
            mallopt(_M_ARENA_MAX, 1)


def own_device(config: Config) -> int | None:
    """Return the index of the device of this process; None for a rank of which only MindSpore knows.

    A launcher tells each rank its own by the variable DEVICE_ID, as msrun does; what a file or an option says to all
    ranks alike cannot be meant for each of them.
    """
    if not config.is_distributed:
        return config.device_id
    told = os.environ.get("DEVICE_ID", "")
    return int(told) if told.isdecimal() else config.device_id or None


def avoid_reference_convolutions() -> None:
    """Keep oneDNN, which computes for MindSpore on CPU, to AVX2 instructions; to be called before the first tensor.

    On processors with AVX-512, the oneDNN of MindSpore 2.10 takes its reference code for depthwise, strided and 3 x 3
    convolutions in MindSpore's layout, which is many times slower than its AVX2 code (docs/dev/performance_history.md).
    The variable ONEDNN_MAX_CPU_ISA, where a user has set it, counts instead. On ARM it would mean nothing.
    """
    if platform.machine() == X86 and not any(name in os.environ for name in _INSTRUCTIONS):
        os.environ[_INSTRUCTIONS[0]] = "AVX2"
