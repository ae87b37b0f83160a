"""How the learning rate changes where a training goes on with another schedule."""

from __future__ import annotations

import math
import warnings

import numpy as np

from src.checkpoints.position import Position
from src.checkpoints.record import read_position
from src.model_utils.config import Config
from src.model_utils.derived_settings import rate_scale
from src.training.model import build_schedule
from src.training.origin import Origin

LR_SCALE = "lr_scale"  # what a recipe calls the factor on all rates
_SETTINGS = (
    "epoch_size",
    "warmup_epochs",
    "cooldown_epochs",
    "max_steps",
    "lr_decay_mode",
    "lr_init",
    "lr_max",
    "lr_end",
)
_NO_JUMP = 0.02  # relative difference from the rate that the old schedule has there
_SINCE = {LR_SCALE: 1.0, "cooldown_epochs": 0, "max_steps": 0}  # what recipes of earlier versions do not tell
_MOST_STEPS = 10**8


def schedule_change(config: Config, ranks: int, origin: Origin, position: Position) -> str:
    """Return a line that tells what becomes of the learning rate, "" where its schedule stays or is not known.

    Args:
        config: The configuration.
        ranks: Number of processes that train together.
        origin: The checkpoint whose training goes on.
        position: Where it goes on, in steps of this run.
    """
    recipe = origin.metadata.provenance.recipe if origin.metadata else {}
    recorded = read_position(origin.path)
    settings = {name: recipe[name] for name in _SETTINGS if name in recipe}
    old = {**settings, **{name: recipe.get(name, value) for name, value in _SINCE.items()}}
    new = {**{name: getattr(config, name) for name in _SETTINGS}, LR_SCALE: rate_scale(config, ranks)}
    new["lr_decay_mode"] = "linear" if config.lr_decay_mode == "liner" else config.lr_decay_mode
    changed = [name for name in new if name in old and old[name] != new[name]]
    if not (changed and recorded and recorded.global_step) or position.epoch >= config.epoch_size:
        return ""
    try:
        before = _schedule(
            config.replace(**{"cooldown_epochs": 0, "max_steps": 0, **settings}), recorded, float(old[LR_SCALE])
        )
        last, expected = (_rate(before, recorded.global_step - back) for back in (1, 0))
        after = _rate(_schedule(config, position, new[LR_SCALE]), position.global_step)
    except (TypeError, ValueError):  # recipes of other programs
        return ""
    if math.isclose(expected, after, rel_tol=_NO_JUMP):
        jump = f"goes on as before, from {after:.3g}"
    else:
        jump = f"{'rises' if after > last else 'falls'} from {last:.3g} to {after:.3g}"
    said = [
        f"{old[name]} -> {new[name]} epochs" if name == "epoch_size" else f"{name} {old[name]} -> {new[name]}"
        for name in changed
    ]
    return f"schedule: {', '.join(said)}, the rate {jump}"


def _schedule(config: Config, position: Position, scale: float) -> np.ndarray:
    if not config.epoch_size * position.steps_per_epoch <= _MOST_STEPS:
        raise ValueError("no schedule is that long")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_schedule(config, position.steps_per_epoch, scale)


def _rate(schedule: np.ndarray, step: int) -> float:
    """Return the learning rate of a step of the whole training, of its last step for later ones."""
    return float(schedule[min(step, len(schedule) - 1)])
