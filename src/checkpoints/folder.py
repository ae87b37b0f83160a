"""The folder that a training writes to."""

from __future__ import annotations

from pathlib import Path

from src.model_utils.config import Config
from src.model_utils.derived_settings import amp_level


def checkpoint_folder(config: Config) -> Path:
    """Return the folder of the first rank's checkpoints, the only ones there are, as the reference names it.

    Args:
        config: With `save_checkpoint_path`, the device and its precision.

    Returns:
        Below the path: `ckpt_0` on Ascend, `fp16/model_0` or `fp32/model_0` on GPU, `model_0` on CPU.
    """
    base = Path(config.save_checkpoint_path)
    if config.device_target == "Ascend":
        return base / "ckpt_0"
    if config.device_target == "GPU":
        return base / ("fp32" if amp_level(config) == "O0" else "fp16") / "model_0"
    return base / "model_0"
