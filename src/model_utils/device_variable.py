"""The variable DEVICE_ID, by which the model zoo's users choose the device of a command."""

from __future__ import annotations

import os
import sys
from typing import Any

from src.model_utils.config_values import Value, check

VARIABLE = "DEVICE_ID"


def device_of_environment(device: str, allowed: Any) -> dict[str, Value]:
    """Return the device that the variable names, and say on stderr that it does.

    Args:
        device: "Ascend", "GPU" or "CPU".
        allowed: What `device_id` may hold, as in `check`.

    Returns:
        `device_id`; nothing where the variable is not set, or the device has no number.

    Raises:
        ConfigError: If the variable is no such number.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return {}
    number = check(text, allowed, f"the variable {VARIABLE}")
    if device == "CPU":
        print(f"the variable {VARIABLE}={number} has no effect on a CPU", file=sys.stderr, flush=True)
        return {}
    print(f"device_id is {number}, as the variable {VARIABLE} says", file=sys.stderr, flush=True)
    return {"device_id": number}
