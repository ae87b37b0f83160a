"""A profile as text: by what computes, and by the parts of the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tools.profiles.work import Kernel, Limits, Step

_COLUMNS = "{:<48} {:>6} {:>9} {:>7} {:>9} {:>10}"


def table(step: Step, limits: Limits, images: int) -> str:
    """Return a profile as text, what takes most first.

    Args:
        step: What was measured.
        limits: What the machine can do.
        images: In the step.
    """
    whole = step.milliseconds
    by_name: dict[tuple[str, str], list[Kernel]] = defaultdict(list)
    by_part: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in step.kernels:
        by_name[kernel.name, kernel.detail].append(kernel)
        by_part[kernel.part].append(kernel)
    known = sum(kernel.milliseconds for kernel in step.kernels)
    lines = [_COLUMNS.format("operator", "calls", "ms", "share", "least ms", "GFLOP/s")]
    for (name, detail), kernels in sorted(by_name.items(), key=lambda item: -_spent(item[1])):
        spent, calls = _spent(kernels), sum(kernel.calls for kernel in kernels)
        operations = sum(kernel.operations * kernel.calls for kernel in kernels)
        speed = f"{operations / spent / 1e6:.0f}" if operations else ""
        lines.append(_line(name, calls, spent, whole, least=limits.least(kernels), speed=speed))
        lines += [f"    {detail}"] if detail else []
    lines.append(_line("all else", "", whole - known, whole))
    lines.append(_line("step", "", whole, whole, least=limits.least(step.kernels)))
    if step.parts:
        lines += ["", _COLUMNS.format("part of the network", "times", "ms", "share", "least ms", "")]
        for part, (spent, calls) in sorted(step.parts.items(), key=lambda item: -item[1][0]):
            lines.append(_line(part, calls, spent, whole, least=limits.least(by_part[part])))
        rest = whole - sum(spent for spent, _ in step.parts.values())
        lines.append(_line("all else", "", rest, whole))
    lines += ["", f"{whole / images:.1f} ms an image: {images / whole * 1000:.2f} images/s"]
    lines.append(
        f"least by {limits.operations / 1e9:.0f} GFLOP/s, as a product of 2048 x 2048 matrices reaches, and "
        f"{limits.moved / 1e9:.1f} GB/s, as a copy does, without all else"
    )
    return "\n".join(line.rstrip() for line in lines)


def _spent(kernels: Iterable[Kernel]) -> float:
    return sum(kernel.milliseconds for kernel in kernels)


def _line(
    name: str, calls: int | str, spent: float, whole: float, *, least: float | None = None, speed: str = ""
) -> str:
    shown = "" if least is None else f"{least:.1f}"
    return _COLUMNS.format(name, calls, f"{spent:.1f}", f"{spent / whole:.1%}", shown, speed)
