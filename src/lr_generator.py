"""Learning-rate schedules: a linear warm-up, then a decay on the progress from 0 to 1."""

import warnings

import numpy as np

DECAY_MODES = ("linear", "poly", "steps", "cosine")


def _decay(mode: str, progress: np.ndarray, lr_max: float, lr_end: float) -> np.ndarray:
    """The learning rate after warm-up; `progress` is the share of the remaining steps already done, in [0, 1)."""
    if mode == "linear":
        return lr_max - (lr_max - lr_end) * progress
    if mode == "poly":
        return lr_max * (1.0 - progress) ** 2
    if mode == "cosine":
        return lr_end + 0.5 * (lr_max - lr_end) * (1.0 + np.cos(np.pi * progress))
    raise ValueError(f"unknown lr_decay_mode {mode!r}")


def get_lr(
    lr_init: float,
    lr_end: float,
    lr_max: float,
    warmup_epochs: int,
    total_epochs: int,
    steps_per_epoch: int,
    lr_decay_mode: str,
    global_step: int = 0,
) -> np.ndarray:
    """Generate the learning rate of every training step.

    Args:
        lr_init (float): learning rate of the first step when there is a warm-up, at least 0.
        lr_end (float): learning rate that "linear" and "cosine" decay to, at least 0.
        lr_max (float): learning rate at the end of the warm-up, at least 0.
        warmup_epochs (int): epochs of linear warm-up, 0 <= warmup_epochs <= total_epochs; a fraction counts in whole
            steps, rounded down.
        total_epochs (int): epochs of the whole training, at least 1; a fraction likewise.
        steps_per_epoch (int): steps of one epoch, at least 1.
        lr_decay_mode (str): "linear"; "poly" (to the power of 2, to 0); "steps" (a tenth after 30 %, 60 % and 80 % of
            all steps, without warm-up); "cosine" (half a period; its last step has lr_end). "liner" is an old spelling
            of "linear".
        global_step (int): steps already done, 0 <= global_step <= all steps; their values are left out. Default: 0.

    Returns:
        numpy.ndarray, float32, shape (total_epochs * steps_per_epoch - global_step,).

    Raises:
        ValueError: If an argument is outside its range.
    """
    if lr_decay_mode == "liner":
        warnings.warn("lr_decay_mode 'liner' is the old spelling of 'linear'", FutureWarning, stacklevel=2)
        lr_decay_mode = "linear"
    if lr_decay_mode not in DECAY_MODES:
        raise ValueError(f"lr_decay_mode must be one of {', '.join(DECAY_MODES)}, but got {lr_decay_mode!r}")
    # Written so that NaN and infinity fail them too.
    if not (1 <= total_epochs < np.inf and 1 <= steps_per_epoch < np.inf):
        raise ValueError(
            f"training needs at least one step, but got {total_epochs} epochs of {steps_per_epoch} steps each"
        )
    if not 0 <= warmup_epochs <= total_epochs:
        raise ValueError(f"warmup_epochs must be in [0, {total_epochs}] (total_epochs), but got {warmup_epochs}")
    total_steps = int(total_epochs * steps_per_epoch)
    warmup_steps = int(warmup_epochs * steps_per_epoch)
    if not 0 <= global_step <= total_steps:
        raise ValueError(f"global_step must be in [0, {total_steps}] (all steps), but got {global_step}")
    if not all(np.isfinite(rate) and rate >= 0 for rate in (lr_init, lr_end, lr_max)):
        raise ValueError(f"learning rates must be finite and at least 0, but got {lr_init}, {lr_end}, {lr_max}")

    steps = np.arange(total_steps, dtype=np.float64)
    if lr_decay_mode == "steps":
        drops = np.searchsorted(np.array([0.3, 0.6, 0.8]) * total_steps, steps, side="right")
        rates = lr_max * 0.1 ** drops.astype(np.float64)
    else:
        rates = np.empty(total_steps)
        rates[:warmup_steps] = lr_init + (lr_max - lr_init) * steps[:warmup_steps] / max(warmup_steps, 1)
        decay_steps = total_steps - warmup_steps
        # The cosine reaches lr_end at its last step; the recipe's linear and poly would reach their end one step later.
        last = max(decay_steps - 1, 1) if lr_decay_mode == "cosine" else max(decay_steps, 1)
        rates[warmup_steps:] = _decay(lr_decay_mode, np.arange(decay_steps) / last, lr_max, lr_end)
    return rates.astype(np.float32)[global_step:]
