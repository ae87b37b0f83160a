"""What a profile is made of: the steps of a work, what was computed in them, and what the machine could do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FLOAT, HALF = 4, 2  # bytes


@dataclass(frozen=True)
class Kernel:
    """Equal calls of a kernel.

    Args:
        name: What it computes, and in which direction.
        milliseconds: How long all calls took.
        operations: Additions and multiplications of a call.
        moved: Bytes of all operands of a call.
        calls: Their number.
        detail: The code that computes, or the like; empty if there is nothing to tell.
        part: The part of the network that it is in; empty if that is not known.
    """

    name: str
    milliseconds: float
    operations: float
    moved: float
    calls: int = 1
    detail: str = ""
    part: str = ""


@dataclass(frozen=True)
class Step:
    """A step of a work.

    Args:
        milliseconds: How long it took.
        kernels: What was computed in it.
        parts: Milliseconds and number of the parts of the network, by their names.
    """

    milliseconds: float
    kernels: Sequence[Kernel]
    parts: dict[str, tuple[float, int]]


@dataclass(frozen=True)
class Limits:
    """What a machine can do.

    Args:
        operations: In a second, as a product of matrices reaches.
        moved: Bytes in a second that a copy reads and writes.
    """

    operations: float
    moved: float

    def least(self, kernels: Sequence[Kernel]) -> float:
        """Return the milliseconds that kernels take at least."""
        return sum(
            max(each.operations / self.operations, each.moved / self.moved) * each.calls * 1000 for each in kernels
        )


def middle(steps: Sequence[Step]) -> Step:
    """Return the step of the median time."""
    return sorted(steps, key=lambda step: step.milliseconds)[(len(steps) - 1) // 2]
