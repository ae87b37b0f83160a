"""The devices that a user has made visible to a run, among which its ranks choose theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src.model_utils.config import ConfigError

_VARIABLES = {"Ascend": "ASCEND_RT_VISIBLE_DEVICES", "GPU": "CUDA_VISIBLE_DEVICES"}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}")
_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]+")


@dataclass(frozen=True)
class VisibleDevices:
    """What a variable of the environment shows to a process.

    Args:
        variable: Name of the variable.
        names: What stands in it for each device, in the order of their indices in the process.
    """

    variable: str
    names: tuple[str, ...]

    def describe(self, devices: Sequence[int]) -> str:
        """Return which devices these are, for people; `devices` are indices."""
        return f"{', '.join(self.names[device] for device in devices)} of {self.variable}"


def visible_devices(device: str, environment: Mapping[str, str]) -> VisibleDevices | None:
    """Read what the environment makes visible.

    Args:
        device: "Ascend", "GPU" or "CPU".
        environment: The variables that the ranks will have.

    Returns:
        The visible devices; None where nothing is hidden.

    Raises:
        ConfigError: The driver would read something else than is written, or there is none.

    Source: "ASCEND_RT_VISIBLE_DEVICES" in the environment variables of CANN 9.1; "CUDA Environment Variables" in the
    CUDA C++ Programming Guide.
    """
    variable = _VARIABLES.get(device, "")
    value = environment.get(variable)
    if value is None:
        return None
    names = _ascend_names(variable, value) if device == "Ascend" else _cuda_names(variable, value)
    if not names:
        raise ConfigError(f"{variable}={value} hides every {device} device: name some in it, or unset it")
    if len(set(names)) < len(names):
        raise ConfigError(f"{variable}={value} names a device twice: two ranks cannot use the same one")
    return VisibleDevices(variable, tuple(names))


def choose_devices(
    device: str, wanted: Sequence[int], environment: Mapping[str, str], by_number: bool = False
) -> tuple[int, ...]:
    """Find devices among the visible ones, as indices within these.

    Args:
        device: As in visible_devices.
        wanted: Indices among the visible devices.
        environment: As in visible_devices.
        by_number: Whether these may be the machine's own numbers instead, as in a rank table, where they are no
            indices of visible devices.

    Returns:
        The index of each.

    Raises:
        ConfigError: As visible_devices does, or if one of them is not visible.
    """
    visible = visible_devices(device, environment)
    if visible is None or max(wanted) < len(visible.names):
        return tuple(wanted)
    if by_number and all(str(number) in visible.names for number in wanted):
        return tuple(visible.names.index(str(number)) for number in wanted)
    numbers = ", ".join(map(str, wanted))
    raise ConfigError(
        f"{visible.variable}={environment[visible.variable]} shows {len(visible.names)} {device} devices, which are "
        f"counted from 0 among themselves, but {numbers} {'are' if len(wanted) > 1 else 'is'} wanted: show more or "
        "use fewer"
    )


def _ascend_names(variable: str, value: str) -> list[str]:
    names = value.split(",") if value else []
    numbers = [int(name) for name in names if _NUMBER.fullmatch(name)]
    if len(numbers) < len(names) or numbers != sorted(numbers):
        raise ConfigError(
            f"{variable}={value} is not what the driver reads: numbers in rising order with commas between them and "
            "nothing else, such as 6,7; it stops at anything else"
        )
    return names


def _cuda_names(variable: str, value: str) -> list[str]:
    names: list[str] = []
    for name in map(str.strip, value.split(",") if value.strip() else ()):
        if re.fullmatch(r"-[0-9]+", name):
            break  # ends the list, by which a user may hide those that follow
        if not (_NUMBER.fullmatch(name) or _UUID.fullmatch(name)):
            raise ConfigError(
                f"{variable}={value} is not what the driver reads: numbers, or UUIDs that begin with GPU- or MIG-, "
                f"with commas between them; it stops at {name or 'nothing between two commas'}"
            )
        names.append(name)
    return names
