"""A training that goes on with another schedule says how the learning rate jumps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from src.checkpoints.position import Position
from src.checkpoints.training_state import save_training
from src.metadata.metadata import Metadata, Provenance
from src.model_utils.config import parse_config
from src.training.origin import Origin
from src.training.schedule_change import schedule_change
from tests.helpers.small_network import build_state

WORDS = ("--lr_init=4e-5", "--lr_max=6e-3", "--lr_end=4e-5", "--warmup_epochs=1")
NAMES = ("epoch_size", "warmup_epochs", "lr_decay_mode", "lr_init", "lr_max", "lr_end")


def change(folder: Path, position: Position, *words: str, steps: int = 5, recipe: dict | None = None) -> str:
    """Return what is said where a training of six epochs goes on with other options."""
    config = parse_config([*WORDS, "--epoch_size=6"], lambda _: "CPU")
    told = {name: getattr(config, name) for name in NAMES} if recipe is None else recipe
    metadata = Metadata(provenance=Provenance("training", recipe=told))
    path = folder / "x.ckpt"
    save_training(path, replace(build_state(), metadata=metadata), position)
    now = parse_config([*WORDS, "--epoch_size=6", *words], lambda _: "CPU")
    return schedule_change(now, 1, Origin(path, True, metadata), position.in_steps_of(steps))


@pytest.mark.parametrize(
    ("position", "words", "steps", "said"),
    [
        (Position(6, 0, 5), ["--epoch_size=250"], 5, "6 -> 250 epochs, the rate rises from 0.000278 to 0.00588"),
        (Position(6, 0, 50), ["--epoch_size=250"], 5, "6 -> 250 epochs, the rate rises from 6.38e-05 to 0.00588"),
        (Position(3, 2, 5), ["--lr_max=0.1"], 5, "lr_max 0.006 -> 0.1, the rate rises from 0.00338 to 0.052"),
        (
            Position(3, 2, 5), ["--scale_lr=True", "--batch_size=512"], 5,
            "lr_scale 1.0 -> 0.5, the rate falls from 0.00338 to 0.00157",
        ),
        (
            Position(6, 0, 5), ["--epoch_size=7", "--lr_decay_mode=cosine", "--warmup_epochs=0"], 5,
            "6 -> 7 epochs, warmup_epochs 1 -> 0, lr_decay_mode linear -> cosine, the rate falls from 0.000278 to",
        ),
        (Position(0, 3, 500), ["--epoch_size=7"], 500, "6 -> 7 epochs, the rate goes on as before, from 7.58e-05"),
        (
            Position(6, 0, 5), ["--epoch_size=8", "--cooldown_epochs=2"], 5,
            "6 -> 8 epochs, cooldown_epochs 0 -> 2, the rate goes on as before, from 0.000278",
        ),
    ],
)  # fmt: skip
def test_a_change_is_told_with_what_it_comes_from(tmp_path, position, words, steps, said):
    assert change(tmp_path, position, *words, steps=steps).startswith(f"schedule: {said}")


@pytest.mark.parametrize(
    ("position", "words", "recipe"),
    [
        (Position(3, 0, 5), [], None),
        (Position(3, 0, 5), ["--lr_decay_mode=liner"], None),
        (Position(6, 0, 5), ["--lr_max=1"], None),  # nothing is left to train
        (Position(3, 0, 5), ["--scale_lr=True", "--batch_size=1024"], None),
        (Position(6, 0, 5), ["--epoch_size=9"], {}),
        (Position(6, 0, 5), ["--epoch_size=9"], {"epoch_size": 10**12}),
        (Position(6, 0, 5), ["--epoch_size=9"], {"epoch_size": "many"}),
        (Position(6, 0, 5), ["--epoch_size=9"], {"epoch_size": 6, "lr_max": -1.0}),
    ],
)
def test_nothing_is_said_without_a_change_or_without_knowing(tmp_path, position, words, recipe):
    assert change(tmp_path, position, *words, steps=position.steps_per_epoch, recipe=recipe) == ""
