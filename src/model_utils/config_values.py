"""Single values of a configuration: their types, their bounds, and what a message says of a wrong one."""

from __future__ import annotations

import math
import operator
from typing import Any

from src.common.files import expand_home

Value = bool | int | float | str

_BOUNDS = {
    "min": (">=", operator.ge),
    "max": ("<=", operator.le),
    "above": (">", operator.gt),
    "below": ("<", operator.lt),
}
_KIND_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line for the person who wrote it."""


def check(value: object, allowed: Any, where: str) -> Value:
    """Convert a YAML value or the text of an option to the type of its key, and check it.

    Args:
        value: What the file or the command line holds.
        allowed: List of the permitted values, or bounds of a number (`min`, `max`, `above`, `below`); their type is the
            key's. None permits any text, in which `~/` at the beginning becomes the home folder.
        where: File and key, or option, for the message.

    Returns:
        The value as bool, int, float or str.

    Raises:
        ConfigError: The value has another type or is not permitted.
    """
    bounds = allowed if isinstance(allowed, dict) else {}
    choices = allowed if isinstance(allowed, list) else []
    kind = kind_of(allowed)
    if allowed is None and isinstance(value, str):  # of all texts, paths alone begin so
        try:
            value = expand_home(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
    try:
        result = _coerce(value, kind)
    except (ValueError, OverflowError):
        result = None
    inside = result is not None and all(_BOUNDS[word][1](result, bound) for word, bound in bounds.items())
    if result is None or not inside or (choices and result not in choices):
        limits = " and ".join(f"{_BOUNDS[word][0]} {bound}" for word, bound in bounds.items())
        expected = f"one of {', '.join(choices)}" if choices and kind is str else f"{_KIND_NAMES[kind]} {limits}"
        raise ConfigError(f"{where}: expected {expected.strip()}, got {show_value(value)}")
    return result


def kind_of(allowed: Any) -> type:
    """Return the type of a key, bool, int, float or str, from what it may hold, as in `check`."""
    examples = allowed.values() if isinstance(allowed, dict) else allowed or []
    return next(map(type, examples), str)


def _coerce(value: object, kind: type) -> Value | None:
    """Convert a value to `kind`; return None, or raise ValueError or OverflowError, where it is no such thing."""
    if kind is str:
        return "" if value is None else value if isinstance(value, str) else None
    if isinstance(value, bool) or kind is bool:
        known = {"true": True, "false": False}
        return known.get(str(value).strip().lower()) if kind is bool and isinstance(value, bool | str) else None
    if not isinstance(value, int | float | str) or (kind is int and isinstance(value, float)):
        return None
    number: int | float = kind(value)
    # NaN is below nothing, so it is refused together with infinity and integers beyond 64 bits.
    return number if abs(number) < (2**63 if kind is int else math.inf) else None


def show_value(value: object) -> str:
    """Return a value for a message: short, on one line, and cheap even for a huge one."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "an integer beyond 64 bits"
    if value is None:
        return "nothing"
    if not isinstance(value, str | int | float):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
