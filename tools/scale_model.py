"""Forecast a training on many cards from a few figures of one: arithmetic, not a measurement.

docs/dev/performance_history.md tells where each default comes from.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

HOST_LINKS = {"HCCS": 30.0, "NVLink of an A100": 300.0}  # GB/s a card, one way, inside a host
NETWORKS = {"100 Gbit/s": 12.5, "200 Gbit/s": 25.0}  # the same between hosts
_BASE_BATCH = 1024  # the recipe's: 128 images on each of 8 cards, for which lr_max is 0.4
_BASE_RATE = 0.4


def _default(value: float, meaning: str) -> Any:
    return field(default=value, metadata={"help": meaning})


@dataclass(frozen=True)
class Assumptions:
    """What the forecast rests on. Decimal units: a GB has 10^9 bytes."""

    card_speed: float = _default(267.2, "images/s of a card alone")
    batch_size: int = _default(128, "images of a card's step")
    cards_per_host: int = _default(8, "cards of a host")
    host_cores: int = _default(192, "cores of a host")
    core_speed: float = _default(math.inf, "images/s that a core decodes and augments; inf for no limit")
    host_link: float = _default(HOST_LINKS["HCCS"], "GB/s a card, one way, inside a host")
    network: float = _default(NETWORKS["100 Gbit/s"], "GB/s a card, one way, between hosts")
    link_use: float = _default(0.8, "share of the bandwidth that an all-reduce gets")
    hop: float = _default(1e-5, "seconds from one card of the ring to the next, without the bytes")
    backward_share: float = _default(0.67, "share of a step in which gradients appear")
    last_share: float = _default(0.3, "share of the gradients that travel when all are there")
    parameters: int = _default(22_855_952, "parameters, whose gradients are float32")
    images: int = _default(1_281_167, "images of an epoch")
    image_bytes: float = _default(115_000, "bytes of an encoded image")
    epochs: int = _default(250, "epochs")
    checkpoint_seconds: float = _default(0.43, "seconds of a checkpoint, one an epoch, while all cards wait")


@dataclass(frozen=True)
class Forecast:
    """A run of a number of cards under assumptions."""

    assumptions: Assumptions
    cards: int

    @property
    def hosts(self) -> int:
        """Number of hosts."""
        return math.ceil(self.cards / self.assumptions.cards_per_host)

    @property
    def images_per_step(self) -> int:
        """Images of a step on all cards."""
        return self.assumptions.batch_size * self.cards

    @property
    def steps(self) -> int:
        """Steps of an epoch: the images are shared evenly, a last batch that is not whole is dropped."""
        return math.ceil(self.assumptions.images / self.cards) // self.assumptions.batch_size

    @property
    def ring_bytes(self) -> float:
        """Bytes that each card sends in a ring all-reduce of the float32 gradients."""
        return 2 * (self.cards - 1) / self.cards * 4 * self.assumptions.parameters

    def all_reduce_seconds(self, link: float | None = None) -> float:
        """Seconds of an all-reduce; one ring through all cards is as fast as its slowest link.

        Args:
            link: Bandwidth of that link, GB/s; None takes that inside a host, or of the network with several hosts.
        """
        known = self.assumptions.host_link if self.hosts == 1 else self.assumptions.network
        bandwidth = (known if link is None else link) * 1e9 * self.assumptions.link_use
        return self.ring_bytes / bandwidth + 2 * (self.cards - 1) * self.assumptions.hop

    @property
    def compute_seconds(self) -> float:
        """Seconds of a step without communication, or what the host's pipeline needs for it if that is more."""
        known = self.assumptions
        on_host = min(self.cards, known.cards_per_host) * known.batch_size / (known.host_cores * known.core_speed)
        return max(known.batch_size / known.card_speed, on_host)

    def step_seconds(self, overlap: bool) -> float:
        """Seconds of a step.

        Args:
            overlap: Whether gradients travel as soon as they are there.
        """
        exposed = self.all_reduce_seconds()
        if overlap:
            window = self.assumptions.backward_share * self.compute_seconds
            exposed = max(exposed - window, self.assumptions.last_share * exposed)
        return self.compute_seconds + exposed

    def epoch_seconds(self, overlap: bool) -> float:
        """Seconds of an epoch with its checkpoint; `overlap` as in step_seconds."""
        return self.steps * self.step_seconds(overlap) + self.assumptions.checkpoint_seconds

    def efficiency(self, overlap: bool) -> float:
        """Images/s as a share of the same number of cards that each train alone, above 0 to 1."""
        images = self.steps * self.images_per_step
        return images / self.epoch_seconds(overlap) / (self.cards * self.assumptions.card_speed)

    def hours(self, overlap: bool) -> float:
        """Hours of the whole training."""
        return self.assumptions.epochs * self.epoch_seconds(overlap) / 3600

    @property
    def images_per_second_of_host(self) -> float:
        """Images/s that a host's pipeline must deliver for its cards not to wait."""
        return min(self.cards, self.assumptions.cards_per_host) * self.assumptions.card_speed

    @property
    def linear_rate(self) -> float:
        """Largest learning rate if it grows with the images of a step (Goyal et al. 2017)."""
        return _BASE_RATE * self.images_per_step / _BASE_BATCH


def table(assumptions: Assumptions, counts: Sequence[int]) -> str:
    """Return the forecast for some numbers of cards, one a column.

    Args:
        assumptions: What it rests on.
        counts: Numbers of cards, 1 or more each.
    """
    rows: list[tuple[str, Callable[[Forecast], str]]] = [
        ("hosts", lambda run: f"{run.hosts}"),
        ("images a step", lambda run: f"{run.images_per_step:,}"),
        ("steps an epoch", lambda run: f"{run.steps:,}"),
        ("all-reduce, sent by each card", lambda run: f"{run.ring_bytes / 1e6:.1f} MB"),
        *((f"all-reduce, {name}", partial(_all_reduce, link, True)) for name, link in HOST_LINKS.items()),
        *((f"all-reduce, {name}", partial(_all_reduce, link, False)) for name, link in NETWORKS.items()),
        ("step without all-reduce", lambda run: f"{1000 * run.compute_seconds:.1f} ms"),
        ("step, no overlap", lambda run: f"{1000 * run.step_seconds(False):.1f} ms"),
        ("step, overlap", lambda run: f"{1000 * run.step_seconds(True):.1f} ms"),
        ("efficiency, no overlap", lambda run: f"{run.efficiency(False):.1%}"),
        ("efficiency, overlap", lambda run: f"{run.efficiency(True):.1%}"),
        ("epoch, no overlap", lambda run: f"{run.epoch_seconds(False):,.1f} s"),
        ("of which the checkpoint", lambda run: f"{assumptions.checkpoint_seconds / run.epoch_seconds(False):.2%}"),
        ("all epochs, no overlap", lambda run: f"{run.hours(False):.2f} h"),
        ("all epochs, overlap", lambda run: f"{run.hours(True):.2f} h"),
        ("pipeline of a host", lambda run: f"{run.images_per_second_of_host:,.0f} images/s"),
        ("cores of a host for it", _cores),
        ("read from the data set", lambda run: f"{_read_rate(run) / 1e9:.2f} GB/s"),
        ("lr_max in proportion", lambda run: f"{run.linear_rate:.1f}"),
    ]
    runs = [Forecast(assumptions, count) for count in counts]
    lines = [("", *(f"{count} card{'s' * (count > 1)}" for count in counts))]
    lines += [(label, *(shown(run) for run in runs)) for label, shown in rows]
    return "\n".join(f"{label:<30}" + "".join(f"{value:>16}" for value in values) for label, *values in lines)


def _all_reduce(link: float, inside_host: bool, run: Forecast) -> str:
    return "-" if inside_host and run.hosts > 1 else f"{1000 * run.all_reduce_seconds(link):.1f} ms"


def _cores(run: Forecast) -> str:
    if math.isinf(run.assumptions.core_speed):
        return "--core_speed"  # the option that tells
    return f"{run.images_per_second_of_host / run.assumptions.core_speed:.1f}"


def _read_rate(run: Forecast) -> float:
    """Return bytes/s of encoded images, for all hosts together."""
    return run.steps * run.images_per_step / run.epoch_seconds(False) * run.assumptions.image_bytes


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name.

    Raises:
        ConfigError: If an option is out of range.
    """
    parser = argparse.ArgumentParser(
        prog="scale_model.py", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--cards", type=int, nargs="+", default=[8, 256], metavar="N", help="numbers of cards")
    for known in fields(Assumptions):
        kind = type(known.default)
        parser.add_argument(
            f"--{known.name}", type=kind, default=known.default, metavar="X", help=known.metadata["help"]
        )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    args = parser.parse_args(argv)
    assumptions = Assumptions(**{known.name: getattr(args, known.name) for known in fields(Assumptions)})
    _check(assumptions, args.cards)
    print(table(assumptions, args.cards))


def _check(assumptions: Assumptions, counts: Sequence[int]) -> None:
    for name, value in {**asdict(assumptions), "cards": min(counts)}.items():
        if not value > 0:
            raise ConfigError(f"--{name} must be above 0: {value}")
    for name in ("link_use", "backward_share", "last_share"):
        if getattr(assumptions, name) > 1:
            raise ConfigError(f"--{name} is a share, at most 1: {getattr(assumptions, name)}")
    if not Forecast(assumptions, max(counts)).steps:
        raise ConfigError(f"--images={assumptions.images} are less than a step of {max(counts)} cards")


if __name__ == "__main__":
    sys.exit(run_command(main))
