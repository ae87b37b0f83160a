"""The folder that a training writes to: its name, and what an earlier run left there."""

from __future__ import annotations

from pathlib import Path

from src.checkpoints.names import (
    BAD_IMAGES,
    BEST_CHECKPOINT,
    CURVES,
    METRICS,
    numbered_checkpoints,
)
from src.common.files import atomic_write, move_aside, remove_temporary
from src.model_utils.beside import CLASS_NAMES, CONFIG
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


def prepare_folder(folder: Path, config: Config, names: list[str], resumed: Path | None) -> None:
    """Move an earlier run's files aside, unless it is this one that goes on, and write what describes the run.

    Class names that are there stay as they are while the checkpoints do, which they may be the names of.

    Args:
        folder: The folder, which this process alone writes to.
        config: The configuration.
        names: The class names.
        resumed: The checkpoint whose training goes on, None for a new training.

    Raises:
        OSError: If a file cannot be moved or written.
    """
    numbered = numbered_checkpoints(folder)
    if resumed and resumed.resolve().parent == folder.resolve():
        known = [path.name for path in numbered]
        stale = numbered[known.index(resumed.name) + 1 :] if resumed.name in known else []
    else:
        stale = numbered + [
            folder / name for name in (METRICS, CURVES, BEST_CHECKPOINT, CLASS_NAMES, CONFIG, BAD_IMAGES)
        ]
    remove_temporary(folder)
    aside = move_aside(stale, folder)
    if aside:
        print(f"files of an earlier run are in {aside} now", flush=True)
    if not (folder / CLASS_NAMES).exists():
        atomic_write(folder / CLASS_NAMES, "".join(f"{name}\n" for name in names))
    atomic_write(folder / CONFIG, config.to_yaml())
